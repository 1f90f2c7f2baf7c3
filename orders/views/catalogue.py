"""What is sold; anybody may look."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distro.api.pagination import KeysetPagination, page_of
from orders import selectors
from orders.serializers import (
    CategorySerializer,
    ProductDetailSerializer,
    ProductFilterSerializer,
    ProductSerializer,
)
from orders.views.examples import CATEGORY, PRODUCT, PRODUCT_DETAIL, answered


class CategoriesView(APIView):
    """All categories."""

    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="categories",
        responses=CategorySerializer(many=True),
        examples=[answered("Category", CATEGORY)],
    )
    def get(self, request: Request) -> Response:
        """List the categories in the shop's order."""
        return Response(CategorySerializer(selectors.categories(), many=True).data)


class ProductsView(APIView):
    """All products."""

    permission_classes = (AllowAny,)
    pagination_class = KeysetPagination

    @extend_schema(
        operation_id="products",
        parameters=[ProductFilterSerializer],
        responses=ProductSerializer(many=True),
        examples=[answered("Product", PRODUCT)],
    )
    def get(self, request: Request) -> Response:
        """List what is sold, newest first."""
        asked = ProductFilterSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        products = selectors.products_on_sale(asked.validated_data.get("category"))
        return page_of(request, products, ProductSerializer, column="id")


class ProductView(APIView):
    """One product."""

    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="product",
        responses=ProductDetailSerializer,
        examples=[answered("Product with its variants", PRODUCT_DETAIL)],
    )
    def get(self, request: Request, code: str) -> Response:
        """Show one product with its variants."""
        return Response(ProductDetailSerializer(selectors.product_on_sale(code)).data)

"""What the demo shop sells: six shelves, forty products. Prices in fen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goods:
    """One product with its variants: (name, price in fen)."""

    code: str
    title: str
    variants: tuple[tuple[str, int], ...]
    returnable: bool = True


def goods(code: str, title: str, *variants: tuple[str, int], returnable: bool = True) -> Goods:
    """Return one product."""
    return Goods(code, title, variants, returnable)


# Rates of their own: a shelf and a product; everything else earns the default.
SPECIAL_CATEGORY = "护肤"
SPECIAL_PRODUCT = "TEA-07"

SHELVES: dict[str, tuple[Goods, ...]] = {
    "茶叶": (
        goods("TEA-01", "正山小种", ("100 克", 6_800), ("250 克", 15_800)),
        goods("TEA-02", "西湖龙井", ("50 克", 9_800), ("100 克", 18_800)),
        goods("TEA-03", "铁观音清香", ("125 克", 5_900), ("250 克", 10_900)),
        goods("TEA-04", "白牡丹茶饼", ("350 克", 16_800)),
        goods("TEA-05", "茉莉花茶", ("100 克", 3_990), ("200 克", 7_200)),
        goods("TEA-06", "熟普小沱", ("30 粒", 8_800)),
        goods("TEA-07", "古树红茶礼盒", ("2 罐装", 36_800)),
    ),
    "零食": (
        goods("SNK-01", "每日坚果", ("7 包", 3_590), ("30 包", 12_900)),
        goods("SNK-02", "手剥松子", ("250 克", 4_690)),
        goods("SNK-03", "冻干草莓脆", ("3 袋", 2_990)),
        goods("SNK-04", "蛋黄酥", ("6 枚", 3_280), ("12 枚", 5_980)),
        goods("SNK-05", "风干牛肉", ("200 克", 6_590)),
        goods("SNK-06", "海苔脆片", ("4 罐", 2_590)),
        goods("SNK-07", "鲜花饼", ("10 枚", 2_980), returnable=False),
    ),
    "护肤": (
        goods("SKN-01", "氨基酸洁面乳", ("120 毫升", 5_900)),
        goods("SKN-02", "玻尿酸面膜", ("5 片", 4_900), ("15 片", 12_900)),
        goods("SKN-03", "保湿乳液", ("100 毫升", 8_900)),
        goods("SKN-04", "防晒霜 SPF50", ("50 克", 7_900)),
        goods("SKN-05", "护手霜三支装", ("30 克 × 3", 3_990)),
        goods("SKN-06", "烟酰胺精华", ("30 毫升", 12_800)),
        goods("SKN-07", "润唇膏", ("3 克", 2_590)),
    ),
    "家居": (
        goods("HOM-01", "四件套", ("1.5 米床", 25_900), ("1.8 米床", 28_900)),
        goods("HOM-02", "乳胶枕", ("标准", 16_900)),
        goods("HOM-03", "香薰蜡烛", ("白茶", 4_990), ("木质", 4_990)),
        goods("HOM-04", "棉麻抱枕", ("45 厘米", 3_690)),
        goods("HOM-05", "浴巾", ("70 × 140", 5_290)),
        goods("HOM-06", "收纳盒三件套", ("白", 4_590)),
        goods("HOM-07", "小夜灯", ("暖光", 3_290)),
    ),
    "厨房": (
        goods("KIT-01", "铸铁锅", ("24 厘米", 29_900)),
        goods("KIT-02", "陶瓷碗六只装", ("素白", 6_990)),
        goods("KIT-03", "不锈钢厨刀", ("八寸", 12_900)),
        goods("KIT-04", "竹砧板", ("大号", 4_990)),
        goods("KIT-05", "保温杯", ("350 毫升", 7_990), ("500 毫升", 8_990)),
        goods("KIT-06", "手冲咖啡壶", ("600 毫升", 9_900)),
    ),
    "文具": (
        goods("STA-01", "点阵笔记本", ("A5", 2_790)),
        goods("STA-02", "中性笔十支", ("0.5 毫米", 1_990)),
        goods("STA-03", "水彩颜料", ("24 色", 6_900)),
        goods("STA-04", "帆布笔袋", ("灰", 2_690)),
        goods("STA-05", "手账贴纸", ("12 张", 1_890)),
        goods("STA-06", "定制刻字钢笔", ("黑", 15_900), returnable=False),
    ),
}

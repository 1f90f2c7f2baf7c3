"""What the pages of every model share: amounts in yuan, masks, read-only money, panels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import RangeDateFilter

from distro import clock
from distro.admin_actors import NamedActors, actor_of, name_actors, who_column
from distro.admin_columns import (
    FORM_FIELDS,
    amount_column,
    is_amount,
    masked_column,
    titled_column,
    unit_label,
)
from distro.clock import day_start
from distro.errors import DomainError
from distro.states import history

VIEW_PERSONAL_DATA = "referrals.view_personal_data"


def sees_personal_data(user: Any) -> bool:
    """Say whether a staff user may read phones, names and ID numbers in clear."""
    return bool(user.has_perm(VIEW_PERSONAL_DATA))


class DayRangeFilter(RangeDateFilter):
    """From one day to another, both whole, as days in Beijing."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        """Keep the rows of these days; what is no date limits nothing."""
        first = parse_day(self.used_parameters.get(f"{self.parameter_name}_from"))
        last = parse_day(self.used_parameters.get(f"{self.parameter_name}_to"))
        if first:
            start = day_start(first) if self.is_moment else first
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": start})
        if last:
            next_day = last + timedelta(days=1)
            end = day_start(next_day) if self.is_moment else next_day
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": end})
        return queryset

    @property
    def is_moment(self) -> bool:
        """Say whether the column holds times, not days."""
        return bool(self.field.get_internal_type() == "DateTimeField")


def parse_day(text: object) -> date | None:
    """Read YYYY-MM-DD; None for anything else."""
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None


# --- Shown, not edited ----------------------------------------------------------------------


class ShownMixin:
    """Shows fen as yuan, basis points as percent, and personal data masked without the right.

    personal: field -> mask. who: fields that name an actor. titles: names of fields whose model
    gives none. The user decides what he sees, so nothing is kept on the shared instance.
    """

    model: type[Model]
    personal: dict[str, Callable[[str], str]] = {}
    who: tuple[str, ...] = ()
    titles: dict[str, Any] = {}

    def shown(self, request: HttpRequest, name: Any) -> Any:
        """Return what stands for a field where it is only read."""
        if name in self.masked(request):
            return masked_column(self.model, name, self.personal[name])
        if name in self.titles:
            return titled_column(name, self.titles[name])
        if name in self.who:
            return who_column(self.model, name)
        is_field = is_amount(name) and not hasattr(self, name) and _has_field(self.model, name)
        return amount_column(self.model, name) if is_field else name

    def masked(self, request: HttpRequest) -> set[str]:
        """Return the fields that this user sees masked."""
        return set() if sees_personal_data(request.user) else set(self.personal)

    def fixed_fields(self, request: HttpRequest, obj: Any) -> Iterable[str]:
        """Return fields that are not edited on this page, besides `readonly_fields`."""
        return ()

    def is_only_viewed(self, request: HttpRequest, obj: Any) -> bool:
        """Say whether nothing on this page is edited."""
        return obj is not None and not self.has_change_permission(request, obj)  # type: ignore[attr-defined]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Add the columns that show these fields to their names."""
        names = [
            *super().get_readonly_fields(request, obj),  # type: ignore[misc]
            *self.fixed_fields(request, obj),
            *self.masked(request),
        ]
        columns = [self.shown(request, name) for name in names]
        return list(dict.fromkeys([*names, *columns]))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Put the shown column in the place of each field that is not edited."""
        sets = super().get_fieldsets(request, obj)  # type: ignore[misc]
        fixed = set(self.get_readonly_fields(request, obj))
        if self.is_only_viewed(request, obj):
            fixed |= set(flatten_fieldsets(sets))
        return [
            (title, {**options, "fields": self._replaced(request, options["fields"], fixed)})
            for title, options in sets
        ]

    def _replaced(self, request: HttpRequest, fields: Sequence[Any], fixed: set[Any]) -> list[Any]:
        shown: list[Any] = []
        for name in fields:
            if isinstance(name, list | tuple):
                shown.append(tuple(self._replaced(request, name, fixed)))
            elif not _is_ours(name):
                shown.append(self.shown(request, name) if name in fixed else name)
        return shown

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Let staff write yuan and percent."""
        if not is_amount(db_field.name):
            return super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]
        return FORM_FIELDS[db_field.name[-4:]](
            label=unit_label(db_field.verbose_name).capitalize(),
            required=not db_field.null,
            initial=db_field.default if db_field.has_default() else None,
            help_text=db_field.help_text,
        )


def _has_field(model: type[Model], name: str) -> bool:
    return any(field.name == name for field in model._meta.get_fields())


def _is_ours(name: object) -> bool:
    """Say whether an entry of a fieldset is a column made by `shown`."""
    return hasattr(name, "replaces")


class ReadOnlyAdminMixin:
    """No adding, no changing, no deleting: services write money, evidence and histories."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


class DatedPolicyMixin:
    """A dated row: what has begun to rule stays as it is; a change is a new row."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for a row whose time has come."""
        return super().has_change_permission(request, obj) and not _has_begun(obj)  # type: ignore[misc]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for a row whose time has come."""
        may = super().has_delete_permission(request, obj)  # type: ignore[misc]
        return obj is not None and may and not _has_begun(obj)


def _has_begun(policy: Any) -> bool:
    return policy is not None and policy.effective_from <= clock.now()


# --- Panels ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Panel:
    """A part of a change page that another package adds; None for a user who may not see it."""

    template: str
    context: Callable[[HttpRequest, Any], dict[str, Any] | None]


PANELS: dict[str, list[Panel]] = defaultdict(list)


def add_panel(model: type[Model], panel: Panel) -> None:
    """Show a panel below the change page of a model; packages further right add to those left."""
    PANELS[model._meta.label_lower].append(panel)


# --- Pages ----------------------------------------------------------------------------------


class Page(ShownMixin, ModelAdmin):
    """The pages of one model, with a number of queries that does not grow with the rows."""

    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = True
    ordering: tuple[str, ...] = ("-pk",)
    empty_value_display = "–"
    change_form_outer_after_template = "admin/panels.html"
    # Detail action -> the states, or the rows, for which it is offered; the service decides.
    offered_in: dict[str, tuple[str, ...] | Callable[[Any], bool]] = {}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[NamedActors]:
        """Read the names of actors at once."""
        return NamedActors

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show amounts in yuan and personal data as this user may see it."""
        return [self.shown(request, name) for name in super().get_list_display(request)]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Let nobody search for what he may not read."""
        names = list(super().get_search_fields(request))
        if sees_personal_data(request.user):
            return names
        return [name for name in names if not name.endswith("nickname")]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Let nobody guess by a filter in the address what he may not read."""
        masked = lookup.split("__")[0] in self.masked(request)
        return not masked and super().lookup_allowed(lookup, value, request)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write only what was changed: counters and stock move beside this form."""
        obj.save(update_fields=form.changed_data if change else None)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Say what a service refuses after the form was found good, as in a race."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except DomainError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Write only what was changed, row by row."""
        formset.save(commit=False)
        for row in formset.deleted_objects:
            row.delete()
        for row, changed in formset.changed_objects:
            row.save(update_fields=changed)
        for row in formset.new_objects:
            row.save()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Leave out the batch steps that this user may not take."""
        return {
            name: item
            for name, item in super().get_actions(request).items()
            if request.user.has_perms(getattr(item[0], "needs", ()))
        }

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Offer the steps that this user may take and the row's state allows."""
        actions = [
            action
            for action in super().get_actions_detail(request, object_id)
            if request.user.has_perms(getattr(action.method, "needs", ()))
        ]
        if not self.offered_in:
            return actions
        row = self.get_object(request, str(object_id))  # None for an id that is nobody's
        return [one for one in actions if row and self._offers(one.action_name, row)]

    def _offers(self, action_name: str, row: Any) -> bool:
        name = action_name.removeprefix(f"{self.opts.app_label}_{self.opts.model_name}_")
        rule = self.offered_in.get(name)
        return rule is None or (rule(row) if callable(rule) else row.status in rule)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the panels that other packages show for this row."""
        context["panels"] = list(self._panels(request, kwargs.get("obj")))
        return super().render_change_form(request, context, *args, **kwargs)

    def _panels(self, request: HttpRequest, obj: Any) -> Iterator[dict[str, Any]]:
        for panel in PANELS[self.opts.label_lower] if obj else []:
            context = panel.context(request, obj)
            if context is not None:
                yield {"template": panel.template, **context}
        if obj and hasattr(obj, "TRANSITIONS") and (steps := steps_of(obj)):
            yield {"template": "admin/steps.html", "steps": steps}


def steps_of(row: Any) -> list[dict[str, Any]]:
    """Return the steps a row took: when, to which state, by whom, why."""
    changes = list(history(row))
    name_actors(changes, ["actor_id"])
    labels = dict(row._meta.get_field("status").flatchoices)
    return [
        {
            "at": change.at,
            "title": labels.get(change.to_status, change.to_status),
            "who": getattr(change, "actor_names", {}).get(actor_of(change, "actor_id"), ""),
            "why": change.why,
        }
        for change in changes
    ]


class ReadOnlyPage(ReadOnlyAdminMixin, Page):
    """The pages of a model that only services write."""


class Rows(ShownMixin, TabularInline):
    """Rows of another model on a change page."""

    extra = 0
    show_change_link = False

    def is_only_viewed(self, request: HttpRequest, obj: Any) -> bool:
        """Say whether rows are neither changed nor added."""
        may_add = self.has_add_permission(request, obj)
        return not may_add and not self.has_change_permission(request, obj)

    def fixed_fields(self, request: HttpRequest, obj: Any) -> Iterable[str]:
        """Fix everything where nothing is edited."""
        return self.fields or () if self.is_only_viewed(request, obj) else ()


class ReadOnlyRows(ReadOnlyAdminMixin, Rows):
    """Rows that only services write."""

    can_delete = False
    hide_title = True

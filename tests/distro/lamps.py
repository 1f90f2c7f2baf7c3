"""A model with states that only tests know; `lamp_table()` makes and removes its table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, models
from django.test.utils import isolate_apps

with isolate_apps("distro"):

    class Lamp(models.Model):
        class Status(models.TextChoices):
            OFF = "off"
            ON = "on"
            BROKEN = "broken"

        TRANSITIONS = {
            Status.OFF: {Status.ON},
            Status.ON: {Status.OFF, Status.BROKEN},
            Status.BROKEN: set(),
        }

        status = models.CharField(max_length=16, default=Status.OFF)
        lit_at = models.DateTimeField(null=True)
        watts = models.IntegerField(default=40)

        class Meta:
            app_label = "distro"

        def __str__(self):
            return str(self.pk)

    class FrozenLamp(Lamp):
        """The same table, with rows that become fixed."""

        frozen_columns = ("status", "lit_at")
        frozen_when = "watts > 50"
        closed_when = "NEW.watts = 13"

        class Meta:
            proxy = True
            app_label = "distro"


@contextmanager
def lamp_table() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE distro_lamp (id bigint PRIMARY KEY, status varchar(16) NOT NULL,"
            " lit_at timestamp with time zone NULL, watts integer NOT NULL)"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE distro_lamp")

from __future__ import annotations

import inspect

import pytest
from django.conf import settings
from django.utils.module_loading import import_string


@pytest.mark.parametrize("name", settings.SCHEDULE)
def test_every_job_is_a_function_that_takes_the_time_alone(name):
    path, seconds = settings.SCHEDULE[name]
    parameters = inspect.signature(import_string(path)).parameters
    needed = {key for key, one in parameters.items() if one.default is inspect.Parameter.empty}
    assert needed == {"at"}
    assert seconds >= 1

"""The values for Kubernetes fit the chart's schema, as far as they use it.

Written after https://github.com/jupyterhub/zero-to-jupyterhub-k8s, file
jupyterhub/values.schema.yaml at commit 02dd73df01bdbb6d602fed21b0be12565ab38080: for each
key that we set, its type there. The schema refuses keys that it does not know, and so does
this one. Keys that it requires have defaults in the chart.
"""

import copy

import jsonschema
import pytest

from grading.lesson import INSTRUCTOR

yaml = pytest.importorskip("yaml")


def closed(**properties) -> dict:
    """An object with these keys alone."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


ANY = {"type": "object"}
BOOL, TEXT, MAYBE = (
    {"type": "boolean"},
    {"type": "string"},
    {"type": ["string", "null"]},
)
NUMBER, INTEGER = {"type": ["number", "null"]}, {"type": ["integer", "null"]}
BYTES = {"type": ["number", "string", "null"]}
SCHEMA = closed(
    singleuser=closed(
        image=closed(name=TEXT, tag=TEXT),
        defaultUrl=MAYBE,
        cpu=closed(limit=NUMBER, guarantee=NUMBER),
        memory=closed(limit=BYTES, guarantee=BYTES),
        extraEnv={"type": ["object", "array"]},
        storage=closed(capacity=MAYBE, homeMountPath=TEXT),
        lifecycleHooks=closed(postStart=ANY, preStop=ANY),
        startTimeout=INTEGER,
    ),
    hub=closed(config=ANY),
    cull=closed(enabled=BOOL, timeout=INTEGER),
    scheduling=closed(userScheduler=closed(enabled=BOOL)),
    prePuller=closed(hook=closed(enabled=BOOL)),
)
VALUES = yaml.safe_load(
    (INSTRUCTOR / "hub" / "values.yaml").read_text(encoding="utf-8")
)


def test_our_values_fit_the_chart():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


@pytest.mark.parametrize(
    "key, value", [("cpu", {"limits": 1}), ("startTimeout", "300")]
)
def test_a_slip_is_found(key, value):
    wrong = copy.deepcopy(VALUES)
    wrong["singleuser"][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


def test_kubernetes_gets_text_as_environment():
    environment = VALUES["singleuser"]["extraEnv"]
    assert all(isinstance(value, str) for value in environment.values())

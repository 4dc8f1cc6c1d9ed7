"""The Helm chart: its values by their schema everywhere, its manifests where there is a helm."""

import copy
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from service.settings import Settings
from tests.unit.deploy.files import CHART, commands, read, unknown_variables
from tests.unit.service.driver import start

VALUES = read(CHART / "values.yaml")
SCHEMA = read(CHART / "values.schema.json")
TEMPLATES = sorted((CHART / "templates").glob("*.yaml"))
HELM = shutil.which("helm")
EVERYTHING = (
    "keda.enabled=true",
    "metrics.serviceMonitor=true",
    "redis.existingSecret=redis",
    "worker.models.existingClaim=models",
    "service.persistence.storageClass=shared",
    "settings.max_artifact_bytes=4294967296",
)


def _set(path: str, value: Any) -> Any:
    values = copy.deepcopy(VALUES)
    *parents, last = path.split(".")
    inner = values
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return values


def test_the_values_are_those_the_schema_describes() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


def test_the_memory_asked_for_holds_twice_what_open_studies_may_take() -> None:
    asked = VALUES["service"]["resources"]["requests"]["memory"]
    open_studies = VALUES["settings"].get("planning_mebibytes", Settings().planning_mebibytes)
    assert int(asked.removesuffix("Gi")) * 1024 >= 2 * open_studies


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("service.replicas", 0),
        ("service.replica", 2),
        ("service.image.tag", "latest"),
        ("service.port", 70_000),
        ("service.persistence.accessMode", "ReadOnlyMany"),
        ("worker.gpu.count", 2),
        ("worker.terminationGracePeriodSeconds", 1),
        ("database.existingSecret", ""),
        ("settings.database_url", "postgresql://user:password@host/name"),
        ("settings.LOG_FORMAT", "json"),
        ("keda.trigger", "cron"),
        ("keda.prometheus.serverAddress", "prometheus"),
        ("metrics.scraper", [{}]),
    ],
)
def test_the_schema_refuses_what_could_not_work(path: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(_set(path, value), SCHEMA)


def test_the_settings_are_accepted_by_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(VALUES["settings"]) <= set(Settings.model_fields)
    for name, value in VALUES["settings"].items():
        monkeypatch.setenv(f"RANKADAPTOR_{name.upper()}", str(value).lower())
    Settings().check()


def test_no_template_uses_a_value_that_the_schema_does_not_know() -> None:
    text = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    used = set(re.findall(r"\.Values\.([A-Za-z.]+)", text))
    assert len(used) > 30
    for path in used:
        known = SCHEMA
        for part in path.split("."):
            if "$ref" in known:
                known = SCHEMA["definitions"][known["$ref"].rpartition("/")[2]]
            if "properties" not in known:
                break  # what Kubernetes checks: resources, selectors
            assert part in known["properties"], path
            known = known["properties"][part]


def test_the_autoscaler_asks_the_database_what_it_can_answer(tmp_path: Path) -> None:
    text = (CHART / "templates" / "scaledobject.yaml").read_text()
    found = re.search(r"query: >-\n((?: {10}.*\n)+)", text)
    assert found
    service = start(tmp_path / "data")
    with service.client:
        study = service.submit()
        service.claim()
        service.post(f"/v1/studies/{study}/trials", {"rank_vector": [1] * 12})
        states = [t["state"] for t in service.get(f"/v1/studies/{study}/trials")["items"]]
        assert states.count("running") == 1
        assert states.count("queued") > 0
        with sqlite3.connect(tmp_path / "data" / "rankadaptor.sqlite") as database:
            assert database.execute(found[1]).fetchone() == (len(states),)
        service.post(f"/v1/studies/{study}/pause")
        with sqlite3.connect(tmp_path / "data" / "rankadaptor.sqlite") as database:
            assert database.execute(found[1]).fetchone() == (1,)


# From here on with a real helm.


def _render(*settings: str) -> list[Any]:
    if HELM is None:
        pytest.skip("no helm on the PATH: the chart's templates were not rendered")
    given = [part for setting in settings for part in ("--set", setting)]
    ran = subprocess.run(
        [HELM, "template", "release", str(CHART), "--namespace", "ml", *given],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return [document for document in yaml.safe_load_all(ran.stdout) if document]


@pytest.fixture(
    params=[(), EVERYTHING, (*EVERYTHING, "keda.trigger=postgresql"), ("worker.enabled=false",)],
    ids=["defaults", "everything", "postgresql trigger", "no worker"],
)
def manifests(request: pytest.FixtureRequest) -> list[Any]:
    return _render(*request.param)


def _pods(manifests: list[Any]) -> Iterator[tuple[str, Any]]:
    for document in manifests:
        if document["kind"] in {"Deployment", "Job"}:
            yield document["metadata"]["name"], document["spec"]["template"]


def _one(manifests: list[Any], kind: str, name: str) -> Any:
    (found,) = [
        document
        for document in manifests
        if document["kind"] == kind and document["metadata"]["name"] == name
    ]
    return found


def _variables(container: Any) -> set[str]:
    return {entry["name"] for entry in container.get("env", ())}


def test_helm_finds_no_fault() -> None:
    if HELM is None:
        pytest.skip("no helm on the PATH: the chart was not linted")
    ran = subprocess.run(
        [HELM, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_pod_is_hardened(manifests: list[Any]) -> None:
    pods = dict(_pods(manifests))
    assert "release-rankadaptor" in pods
    assert "release-rankadaptor-migrate" in pods
    for name, pod in pods.items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert not container["image"].endswith((":", ":latest"))


def test_every_mount_has_a_volume_and_tmp_can_be_written(manifests: list[Any]) -> None:
    for _, pod in _pods(manifests):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for container in pod["spec"]["containers"]:
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            assert set(mounts.values()) == set(volumes)
            assert "emptyDir" in volumes[mounts["/tmp"]]


def test_commands_and_variables_exist(manifests: list[Any]) -> None:
    pending = {"db upgrade"} - commands()  # made beside this file
    for _, pod in _pods(manifests):
        for container in pod["spec"]["containers"]:
            assert " ".join(container["args"]) in commands() | pending
            assert unknown_variables(_variables(container)) == set()


def test_selectors_find_the_pods_they_mean(manifests: list[Any]) -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in _pods(manifests)}
    wanted = {
        "Service": lambda spec: spec["selector"],
        "Deployment": lambda spec: spec["selector"]["matchLabels"],
        "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
    }
    for document in manifests:
        if document["kind"] in wanted:
            selector = wanted[document["kind"]](document["spec"]).items()
            name = document["metadata"]["name"].removesuffix("-service")
            assert [pod for pod, has in labels.items() if selector <= has.items()] == [name]


def test_names_are_unique_and_namespaced_kinds_only(manifests: list[Any]) -> None:
    names = [(document["kind"], document["metadata"]["name"]) for document in manifests]
    assert len(names) == len(set(names))


def test_the_migration_uses_nothing_that_is_made_after_it(manifests: list[Any]) -> None:
    job = _one(manifests, "Job", "release-rankadaptor-migrate")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    spec = job["spec"]["template"]["spec"]
    assert "serviceAccountName" not in spec
    assert all("emptyDir" in volume for volume in spec["volumes"])
    (container,) = spec["containers"]
    assert "envFrom" not in container
    assert "RANKADAPTOR_DATABASE_URL" in _variables(container)


def test_the_probes_ask_routes_there_are_by_an_allowed_name(
    manifests: list[Any], tmp_path: Path
) -> None:
    pod = _one(manifests, "Deployment", "release-rankadaptor")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    service = start(tmp_path / "data")
    with service.client:
        for kind, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
            asked = container[f"{kind}Probe"]["httpGet"]
            assert asked["path"] == path
            headers = {header["name"]: header["value"] for header in asked["httpHeaders"]}
            assert service.client.get(path, headers=headers).status_code == 200


def test_the_configured_settings_are_accepted(
    manifests: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _one(manifests, "ConfigMap", "release-rankadaptor")["data"]
    for name, value in data.items():
        monkeypatch.setenv(name, value)
    pod = _one(manifests, "Deployment", "release-rankadaptor")["spec"]["template"]["spec"]
    (names,) = [
        entry["value"]
        for entry in pod["containers"][0]["env"]
        if entry["name"] == "RANKADAPTOR_ALLOWED_HOSTS"
    ]
    monkeypatch.setenv("RANKADAPTOR_ALLOWED_HOSTS", names.replace("$(POD_IP)", "10.0.0.7"))
    settings = Settings()
    settings.check()
    assert settings.metrics_open
    assert {"10.0.0.7", "release-rankadaptor", "release-rankadaptor.ml.svc"} <= settings.hosts()


def test_whole_numbers_stay_whole() -> None:
    data = _one(_render(*EVERYTHING), "ConfigMap", "release-rankadaptor")["data"]
    assert data["RANKADAPTOR_MAX_ARTIFACT_BYTES"] == "4294967296"
    assert data["RANKADAPTOR_LEASE_SECONDS"] == "120"


def test_a_worker_gets_one_gpu_and_time_to_leave() -> None:
    worker = _one(_render(), "Deployment", "release-rankadaptor-worker")["spec"]
    assert worker["replicas"] == 1
    spec = worker["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == 300
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    cpu = _one(_render("worker.gpu.count=0"), "Deployment", "release-rankadaptor-worker")
    limits = cpu["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert "nvidia.com/gpu" not in limits


def test_who_scales_the_workers_is_one_only() -> None:
    manifests = _render(*EVERYTHING)
    assert "replicas" not in _one(manifests, "Deployment", "release-rankadaptor-worker")["spec"]
    scaled = _one(manifests, "ScaledObject", "release-rankadaptor-worker")["spec"]
    assert scaled["scaleTargetRef"] == {"name": "release-rankadaptor-worker"}
    assert [trigger["type"] for trigger in scaled["triggers"]] == ["prometheus"]
    other = _render(*EVERYTHING, "keda.trigger=postgresql")
    (trigger,) = _one(other, "ScaledObject", "release-rankadaptor-worker")["spec"]["triggers"]
    named = trigger["authenticationRef"]["name"]
    assert _one(other, "TriggerAuthentication", named)["spec"]["secretTargetRef"]


def test_the_network_policies_let_workers_reach_the_service_only() -> None:
    manifests = _render()
    worker = _one(manifests, "NetworkPolicy", "release-rankadaptor-worker")["spec"]
    assert worker["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in worker
    ports = [[port["port"] for port in rule["ports"]] for rule in worker["egress"]]
    assert ports == [[53, 53], [8731]]
    service = _one(manifests, "NetworkPolicy", "release-rankadaptor-service")["spec"]
    (entrance,) = service["ingress"]
    assert len(entrance["from"]) == 2  # workers and the scraper
    assert not [d for d in _render("networkPolicy.enabled=false") if d["kind"] == "NetworkPolicy"]

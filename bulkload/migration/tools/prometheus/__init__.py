"""Reads probe jobs of Prometheus with the blackbox exporter, with their targets and modules.

These files are read together: prometheus.yml (jobs), file_sd lists (targets), blackbox.yml (modules), and Probe
resources of the Prometheus operator; all of them as YAML or JSON. Each target of a job becomes a check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import Document, referenced_documents
from bulkload.migration.durations import prometheus_seconds
from bulkload.migration.pages import incomplete_lists, page_of
from bulkload.migration.parsing import SourceObject, UnreadableValue, as_address, lookup
from bulkload.migration.tools.prometheus.modules import Module, module_named
from bulkload.migration.tools.prometheus.relabel import relabel

NAME = "prometheus"
TITLE = "Prometheus blackbox exporter"

DEFAULT_INTERVAL = 60.0  # seconds
DEFAULT_TIMEOUT = 10.0  # seconds

_JOBS = re.compile(r"^[\"']?scrape_config(?:s|_files)[\"']?\s*:", re.MULTILINE)
_MODULES = re.compile(r"^[\"']?modules[\"']?\s*:", re.MULTILINE)
_PROBER = re.compile(r"^[ \t]+[\"']?prober[\"']?\s*:", re.MULTILINE)
_LIST = re.compile(r"^-\s+(?:targets|labels)\s*:", re.MULTILINE)
_TARGETS = re.compile(r"^[ \t-]+targets\s*:", re.MULTILINE)
_PROBE = re.compile(r"^[ \t]*(?:-[ \t]+)?kind\s*:\s*[\"']?Probe\b", re.MULTILINE)
_FLOW_WORD = re.compile(r"\b(?:scrape_config(?:s|_files)|prober|targets|Probe)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    name: str
    origin: str
    module: str
    interval: float | None
    timeout: float | None
    rules: Sequence[SourceObject]
    target: str = ""  # params.target, one target for the whole job
    changes: tuple[str, ...] = ()
    not_mail: str = ""  # a sentence if no target of the job can be a mail check


def recognises(document: Document) -> bool:
    """Whether the document contains jobs, modules with a prober, a list of targets, or a Probe resource."""
    head = document.head
    if document.format == "json" or (_FLOW_WORD.search(head) and document.is_flow_yaml):
        return _is_configuration(document.json_or_yaml())
    return document.format == "text" and bool(
        _JOBS.search(head)
        or (_MODULES.search(head) and _PROBER.search(head))
        or (_LIST.search(head) and _TARGETS.search(head))
        or _PROBE.search(head)
    )


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every target of every probe job."""
    roots = {document: _root(document) for document in documents}
    modules: dict[str, SourceObject] = {}
    for root in roots.values():
        for name, body in _mapping(lookup(root, "modules")).items():
            if isinstance(body, Mapping):
                modules.setdefault(str(name), body)
    for document in documents:
        for pattern in _strings(lookup(roots[document], "scrape_config_files")):
            found = referenced_documents(document, pattern, documents)
            if found is None:
                yield SkippedObject(
                    origin=f"{document.name}: {pattern}",
                    reason="The file with jobs was not found in the folder of this file; add it to the input.",
                    error=True,
                )
            for included in found or ():
                if all(included.path.resolve() != known.path.resolve() for known in roots):
                    roots[included] = _root(included)
    used_lists: set[str] = set()
    job_count = 0
    for document, root in roots.items():
        for number, job in enumerate(_items(lookup(root, "scrape_configs")), 1):
            job_count += 1
            yield from _translate_job(document, number, job, root, modules, documents, used_lists)
        for resource in _resources(root):
            job_count += 1
            yield from _translate_resource(document, resource, modules)
    pages = [
        page_of(document.name, root, [(document.name, index) for index in range(len(_items(lookup(root, "items"))))])
        for document, root in roots.items()
    ]
    yield from incomplete_lists(pages, "resource")
    for document, root in roots.items():
        if _is_list(root) and str(document.path.resolve()) not in used_lists:
            yield from _translate_list(document, root, modules, has_jobs=job_count > 0)
    may_be_mail = any(not module_named(name, body).not_mail for name, body in modules.items())
    if may_be_mail and not job_count and not any(_is_list(root) for root in roots.values()):
        yield SkippedObject(
            origin="all files",
            reason="The files contain modules, but no targets; add prometheus.yml to the input.",
            error=True,
        )


def _translate_job(
    document: Document,
    number: int,
    item: SourceObject,
    root: object,
    modules: Mapping[str, SourceObject],
    documents: Sequence[Document],
    used_lists: set[str],
) -> Iterator[Check | SkippedObject]:
    name = _text(item.get("job_name")) or f"job {number}"
    origin = f"{document.name}: job {name}"
    rules = _items(item.get("relabel_configs"))
    module_names = _strings(lookup(item, "params.module"))
    other = _not_mail(module_names[0] if module_names else "", rules, modules)
    groups = [(origin, group) for group in _items(item.get("static_configs"))]
    for config in _items(item.get("file_sd_configs")):
        for pattern in _strings(config.get("files")):
            target_lists = referenced_documents(document, pattern, documents)
            if target_lists is None:
                reason = "The list of targets was not found in the folder of this file; add it to the input."
                yield SkippedObject(origin=f"{origin}: {pattern}", reason=other or reason, error=not other)
            for target_list in target_lists or ():
                used_lists.add(str(target_list.path.resolve()))
                groups += [(f"{origin}: {target_list.name}", group) for group in _items(_root(target_list))]
    is_probe = (
        item.get("metrics_path") == "/probe"
        or module_names
        or any(rule.get("target_label") == "__param_module" for rule in rules)
    )
    if not is_probe:
        yield SkippedObject(origin=origin, reason="The job scrapes metrics and does not probe targets.")
        return
    for key in item:
        if str(key).endswith("_sd_configs") and key != "file_sd_configs":
            reason = "These targets are discovered at run time; provide them as a file_sd list."
            yield SkippedObject(origin=f"{origin}: {key}", reason=other or reason, error=not other)
    job = _Job(
        name=name,
        origin=origin,
        module=module_names[0] if module_names else "",
        interval=_seconds(item.get("scrape_interval"), lookup(root, "global.scrape_interval"), DEFAULT_INTERVAL),
        timeout=_seconds(item.get("scrape_timeout"), lookup(root, "global.scrape_timeout"), DEFAULT_TIMEOUT),
        rules=rules,
        not_mail=other,
        target=next(iter(_strings(lookup(item, "params.target"))), ""),
    )
    for group_origin, group in groups:
        yield from _translate_group(group_origin, group, job, modules)


def _translate_resource(
    document: Document, resource: SourceObject, modules: Mapping[str, SourceObject]
) -> Iterator[Check | SkippedObject]:
    """Translate a Probe resource of the Prometheus operator."""
    name = _text(lookup(resource, "spec.jobName")) or _text(lookup(resource, "metadata.name"))
    origin = f"{document.name}: probe {name}"
    static = lookup(resource, "spec.targets.staticConfig")
    other = _not_mail(_text(lookup(resource, "spec.module")), (), modules)
    if not isinstance(static, Mapping):
        reason = "The targets are discovered in the cluster; provide them as staticConfig."
        yield SkippedObject(origin=origin, reason=other or reason, error=not other)
        return
    job = _Job(
        name=name,
        origin=origin,
        module=_text(lookup(resource, "spec.module")),
        interval=_seconds(lookup(resource, "spec.interval"), None, DEFAULT_INTERVAL),
        timeout=_seconds(lookup(resource, "spec.scrapeTimeout"), None, DEFAULT_TIMEOUT),
        rules=(),
        not_mail=other,
    )
    group = {"targets": static.get("static"), "labels": static.get("labels")}
    yield from _translate_group(origin, group, job, modules)


def _translate_list(
    document: Document, root: Sequence[object], modules: Mapping[str, SourceObject], *, has_jobs: bool
) -> Iterator[Check | SkippedObject]:
    """Translate a list of targets that no job refers to."""
    if has_jobs:
        yield SkippedObject(origin=document.name, reason="No job in these files uses this list of targets.")
        return
    note = (
        "The job of this target is not in these files; the type is inferred from the port, and the interval is empty."
    )
    job = _Job(name="", origin=document.name, module="", interval=None, timeout=None, rules=(), changes=(note,))
    for group in _items(root):
        yield from _translate_group(document.name, group, job, modules)


def _translate_group(
    group_origin: str, group: SourceObject, job: _Job, modules: Mapping[str, SourceObject]
) -> Iterator[Check | SkippedObject]:
    group_labels = {str(key): _text(value) for key, value in _mapping(group.get("labels")).items()}
    targets = group.get("targets")
    if targets is not None and not isinstance(targets, list):
        reason = "The targets are not a list."
        yield SkippedObject(origin=group_origin, reason=job.not_mail or reason, error=not job.not_mail)
    for target in targets if isinstance(targets, list) else ():
        origin = f"{group_origin}: {target if isinstance(target, str) else '(not text)'}"
        try:
            yield _target(origin, target, group_labels, job, modules)
        except UnreadableValue as error:
            yield SkippedObject(origin=origin, reason=str(error), error=True)


def _target(
    origin: str, target: object, group_labels: Mapping[str, str], job: _Job, modules: Mapping[str, SourceObject]
) -> Check | SkippedObject:
    if not isinstance(target, str):
        raise UnreadableValue("The target is not text such as mail.example.com:25.")
    if job.not_mail and "__param_module" not in group_labels:
        return SkippedObject(origin=origin, reason=job.not_mail)
    source_labels = {"__address__": target, "job": job.name, "__param_module": job.module, **group_labels}
    if job.target:
        source_labels["__param_target"] = job.target
    labels = relabel(source_labels, job.rules)
    if labels is None:
        return SkippedObject(origin=origin, reason="A relabelling rule of the job drops the target.")
    probed = labels.get("__param_target") or target
    if re.match(r"https?://", probed, re.IGNORECASE):
        return SkippedObject(origin=origin, reason="The target is a web address.")
    module_name = labels.get("__param_module", "")
    module = module_named(module_name, modules.get(module_name))
    if module.not_mail:
        return SkippedObject(origin=origin, reason=module.not_mail)
    address = as_address(probed, "target")
    return Check(
        origin=origin,
        type=module.type,
        name=f"{job.name} {probed}".strip(),
        hostname=address.host,
        port=address.port,
        interval_seconds=job.interval,
        timeout_seconds=module.timeout or job.timeout,
        tls=module.tls,
        tags=tuple(f"{key}={value}" for key, value in group_labels.items() if not key.startswith("__")),
        has_login=module.has_login or address.has_login,
        changes=(*job.changes, *_module_changes(module, module_name)),
        not_covered=module.not_covered,
    )


def _not_mail(name: str, rules: Sequence[SourceObject], modules: Mapping[str, SourceObject]) -> str:
    """Return why a job with this module tests no mail, or "" if it may: its rules may choose another module."""
    for rule in rules:
        target = str(rule.get("target_label"))
        if target == "__param_module" or "$" in target or rule.get("action") == "labelmap":
            return ""
    return module_named(name, modules.get(name)).not_mail if name else ""


def _module_changes(module: Module, name: str) -> tuple[str, ...]:
    if module.is_defined or not name:
        return ()
    return (f"The module {name} is not in these files; its timeout and TLS settings are not imported.",)


def _root(document: Document) -> object:
    return document.json_or_yaml()


def _is_configuration(root: object) -> bool:
    modules = _mapping(lookup(root, "modules")).values()
    return (
        _is_list(root)
        or any(isinstance(lookup(root, key), list) for key in ("scrape_configs", "scrape_config_files"))
        or any(lookup(module, "prober") is not None for module in modules)
        or any(True for _ in _resources(root))
    )


def _is_list(root: object) -> TypeGuard[list[object]]:
    """Whether this is a list of targets in the file_sd format."""
    return isinstance(root, list) and bool(root) and all(isinstance(lookup(group, "targets"), list) for group in root)


def _resources(root: object) -> Iterator[SourceObject]:
    """Yield the Probe resources of a file, including those in several YAML documents or in a List."""
    for item in root if isinstance(root, list) else [root]:
        for resource in (item, *_items(lookup(item, "items"))):
            if lookup(resource, "kind") == "Probe" and isinstance(resource, Mapping):
                yield resource


def _seconds(job_value: object, global_value: object, default: float) -> float:
    for value in (job_value, global_value):
        seconds = prometheus_seconds(value) if isinstance(value, str) else None
        if seconds:
            return seconds
    return default


def _items(value: object) -> list[SourceObject]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _mapping(value: object) -> SourceObject:
    return value if isinstance(value, Mapping) else {}


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""

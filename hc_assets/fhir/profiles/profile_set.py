"""A set of profiles, and the validation of resources against them.

Belongs here: which profiles a resource is held against, and what is reported of those that are
missing. Reading and compiling profiles belongs to the other modules of this package.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hc_assets.fhir.fhirpath import Item, Node
from hc_assets.fhir.profiles.elements import core_type, is_a
from hc_assets.fhir.profiles.errors import ProfileError
from hc_assets.fhir.profiles.extension_places import check_place
from hc_assets.fhir.profiles.instance import MAX_CHAIN, Bundled, Run, Setting, setting_of
from hc_assets.fhir.profiles.profile_library import ProfileLibrary
from hc_assets.fhir.profiles.reading import core_definitions, read_definitions
from hc_assets.fhir.profiles.rules import Profile, check_value
from hc_assets.fhir.profiles.survey import Found, survey
from hc_assets.fhir.profiles.value_checks import codes_verdict
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.issues import Issue, IssueCode, TooManyIssuesError
from hc_assets.fhir.r4.json_text import MAX_DEPTH, JsonProblem, read_document
from hc_assets.fhir.r4.primitives import is_absolute, kind_of

_UNKNOWN = "profile-unknown"
_CLIP = 200
_OF_RESOURCE = "meta.profile"


def _quoted(url: str) -> str:
    """A URL that a resource names, short enough for a line; quoted, as all that it says."""
    return repr(url if len(url) <= _CLIP else f"{url[:_CLIP]}...")


class ProfileSet:
    """Profiles ready to hold resources against; compiled on first use, then kept.

    It holds functions, so that it can't be sent to another process: load it there.

    Attributes:
        met: URLs of the profiles that resources were held against; whoever asks may clear it.
    """

    def __init__(self, library: ProfileLibrary, passed_over: Collection[str] = frozenset()) -> None:
        """Use the profiles of a library; `load_profiles` makes both.

        Args:
            library: the profiles.
            passed_over: URLs of profiles that resources may name, and that others look after.
        """
        self._library = library
        self._passed_over = passed_over
        self.met: set[str] = set()

    @property
    def urls(self) -> frozenset[str]:
        """Canonical URLs of the profiles, without versions."""
        return self._library.urls

    @property
    def notes(self) -> tuple[str, ...]:
        """What the packages of the profiles depend on, and isn't given, in words."""
        return self._library.notes

    @property
    def constraints(self) -> frozenset[str]:
        """Keys of the rules in FHIRPath that the profiles state."""
        return self._library.constraints

    def validate(
        self,
        resource: bytes | dict[str, Any],
        profiles: Sequence[str] | None = None,
        for_every: Sequence[str] = (),
    ) -> list[Issue]:
        """Hold a resource against profiles.

        What R4 itself demands is not looked at: that is `fhir.validation.validate`.

        Args:
            resource: JSON as bytes, any whatever; or decoded, with numbers as int and Decimal.
            profiles: URLs of profiles that the resource is held against. None for those that it
                names in `meta.profile`; the resources inside it, contained or in a bundle, then are
                held against those that they name.
            for_every: URLs of profiles that every resource of their type is held against, inside
                the resource too.

        Returns:
            The issues, by resource in the order of the document. What can't be decided from what
            is at hand is a warning or information that says so.

        Raises:
            ProfileError: `profiles` or `for_every` names one that isn't in the set.
        """
        always = [self._known(url) for url in for_every]
        requested = None if profiles is None else [self._known(url) for url in profiles]
        if isinstance(resource, bytes):
            try:
                resource = read_document(resource).root
            except JsonProblem as problem:
                code: IssueCode = "invalid" if problem.rule == "json-syntax" else "too-costly"
                return [Issue("fatal", code, "", problem.rule, problem.text)]
        if not isinstance(resource, dict):
            text = f"found {kind_of(resource)}, expected an object with resourceType"
            return [Issue("fatal", "structure", "", "json-type", text)]
        name = resource.get("resourceType")
        if not isinstance(name, str) or name not in r4().resource_names:
            text = "found no resourceType that R4 has, so no profile can be checked"
            return [Issue("fatal", "structure", "", "resource-type", text)]
        found = survey(resource)
        if found is None:
            text = f"objects and arrays nested deeper than {MAX_DEPTH} levels"
            return [Issue("fatal", "too-costly", "", "nesting", text)]
        run = self.run_of(resource)
        # Too many issues: what has been found is reported.
        with suppress(TooManyIssuesError):
            for index, one in enumerate(found):
                setting = setting_of(run, one.node, one.root)
                declared = [] if requested is not None else self._declared(one, run)
                chosen = [*((requested or []) if index == 0 else []), *declared]
                chosen += [p for p in always if is_a(one.node.type_name, p.type_name)]
                for profile in dict.fromkeys(chosen):
                    self.met.add(profile.url)
                    self._apply(profile, one, setting)
                self._check_extensions(one, setting, is_profiled=bool(chosen))
        return run.findings.issues

    def run_of(self, resource: Any) -> Run:
        """Begin the validation of a document with this decoded root."""
        return Run(Bundled(resource), self._conforms, self._member_of)

    def hold(self, one: Found, profile: Profile, run: Run) -> None:
        """Hold one resource of a document against one profile.

        Raises:
            TooManyIssuesError: see `Findings`.
        """
        self._apply(profile, one, setting_of(run, one.node, one.root))

    def profile(self, url: str) -> Profile | None:
        """A profile of the set; None for another."""
        return self._library.profile(url)

    def _known(self, url: str) -> Profile:
        profile = self._library.profile(url)
        if profile is None:
            text = f"expected one of the {len(self.urls)} profiles that were loaded"
            raise ProfileError(url, "", f"found no such profile, {text}")
        return profile

    def _declared(self, one: Found, run: Run) -> list[Profile]:
        """The profiles at hand that a resource names; the others are reported as missing."""
        meta = one.node.value.get("meta")
        urls = meta.get("profile") if isinstance(meta, dict) else None
        profiles = []
        for index, url in enumerate(urls if isinstance(urls, list) else ()):
            if isinstance(url, str) and url.partition("|")[0] not in self._passed_over:
                profiles += self.named(one, url, f"{one.path}.meta.profile[{index}]", run)
        return profiles

    def named(self, one: Found, url: str, path: str, run: Run) -> list[Profile]:
        """The profile that a resource names, if it is at hand; if not, that is reported.

        Args:
            one: the resource.
            url: an entry of its `meta.profile`.
            path: where that stands.
            run: takes the issues.

        Raises:
            TooManyIssuesError: see `Findings`.
        """
        profile, name = self._library.profile(url), core_type(url)
        if profile is not None:
            if not self._library.has_version(url):
                text = f"that version of {_quoted(url)} isn't at hand, another is taken"
                run.note("warning", path, _UNKNOWN, url, text, source=_OF_RESOURCE)
            return [profile]
        if name is None:
            text = f"profile {_quoted(url)} isn't at hand, so it can't be checked"
            run.note("warning", path, _UNKNOWN, url, text, source=_OF_RESOURCE)
        elif not is_a(one.node.type_name, name):
            text = f"found {one.node.type_name}, expected {name}"
            run.add("error", "structure", path, "profile-type", text, source=_OF_RESOURCE)
        return []

    def _apply(self, profile: Profile, one: Found, setting: Setting) -> None:
        source = f"profile {profile.url}"
        if not is_a(one.node.type_name, profile.type_name):
            text = f"found {one.node.type_name}, expected {profile.type_name}"
            setting.run.add("error", "structure", one.path, "profile-type", text, source=source)
            return
        for gap in profile.gaps:
            setting.run.note("warning", one.path, "profile-base", profile.url, gap, source=source)
        check_value(profile.rule, one.node, one.path, setting)

    def _check_extensions(self, one: Found, setting: Setting, *, is_profiled: bool) -> None:
        """Hold every extension against its definition, where that is at hand."""
        for extension in one.extensions:
            value, path = extension.value, extension.path
            url = value.get("url")
            if not isinstance(url, str) or not is_absolute(url):
                continue
            profile = self._library.profile(url)
            structure = self._library.structure(url)
            if profile is not None and structure is not None and profile.type_name == "Extension":
                check_place(extension, structure.shape, one, setting.run)
                if (id(value), url) not in setting.run.applied:
                    check_value(profile.rule, Node(value, "Extension"), path, setting)
            elif is_profiled and not self._library.is_core_extension(url):
                text = f"extension {_quoted(url)} isn't at hand, so it can't be checked"
                setting.run.note("information", path, _UNKNOWN, url, text, source="its url")

    def _member_of(self, item: Item, url: str) -> bool | None:
        return codes_verdict(self._library.terminology, url, item)

    def _conforms(self, node: Node, url: str, setting: Setting) -> bool | None:
        """Whether a value or resource conforms to a profile; None where that can't be decided."""
        rule = self._library.rule_of(url)
        name = self._library.type_of(url)
        if name and not is_a(node.type_name, name):
            return False
        if rule is None:
            return True if name else None
        key = (id(node.value), url)
        run = setting.run
        if key in run.verdicts:
            return run.verdicts[key]
        if run.chain >= MAX_CHAIN:
            return None
        if isinstance(node.value, dict):
            run.verdicts[key] = True
        trial = setting.on_trial()
        if "resourceType" in (node.value if isinstance(node.value, dict) else ()):
            contained = setting.environment.root_resource.value.get("contained")
            is_contained = isinstance(contained, list) and any(c is node.value for c in contained)
            trial = trial.within(node, is_contained)
        with suppress(TooManyIssuesError):
            check_value(rule, node, node.type_name, trial)
        verdict = not trial.run.has_errors
        if isinstance(node.value, dict):
            run.verdicts[key] = verdict
        return verdict


def load_profiles(paths: Iterable[Path], passed_over: Collection[str] = frozenset()) -> ProfileSet:
    """Load profiles and the value sets and code systems that go with them.

    Args:
        paths: StructureDefinition, ValueSet and CodeSystem JSON files (one, a Bundle or an array
            of them), folders of them, npm packages as .tgz or unpacked. R4's own profiles are
            their bases without being among them.
        passed_over: URLs of profiles that resources may name, and that others look after.

    Returns:
        The profiles, ready for use.

    Raises:
        ProfileError: a file can't be used; it names the file, the place, what was found there and
            what was expected.
    """
    return ProfileSet(ProfileLibrary(read_definitions(paths), core_definitions()), passed_over)

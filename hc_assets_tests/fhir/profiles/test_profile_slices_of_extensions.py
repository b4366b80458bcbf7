from typing import Any

from hc_assets_tests.fhir.profiles.slicing_profiles import BASE, Findings, Json, Profile


def _extension(profile: Profile, name: str, *elements: Json) -> Json:
    url = {"id": "Extension.url", "path": "Extension.url", "fixedUri": BASE + name}
    return profile("Extension", url, *elements, name=name, kind="complex-type")


def _on_patient(profile: Profile, name: str, **demands: Any) -> Json:
    return profile(
        "Patient",
        {
            "id": f"Patient.extension:{name}",
            "path": "Patient.extension",
            "sliceName": name,
            "type": [{"code": "Extension", "profile": [BASE + name]}],
        }
        | demands,
    )


def test_extensions_are_discriminated_by_the_url_of_their_profile(
    findings: Findings, profile: Profile
) -> None:
    coded = _extension(
        profile, "coded", {"path": "Extension.value[x]", "min": 1, "type": [{"code": "code"}]}
    )
    definition = _on_patient(profile, "coded", min=1, max="1")
    good = {"url": BASE + "coded", "valueCode": "x"}
    assert findings({"resourceType": "Patient", "extension": [good]}, definition, coded) == []
    assert findings({"resourceType": "Patient"}, definition, coded) == [
        ("error", "profile-cardinality", "Patient.extension")
    ]
    assert findings({"resourceType": "Patient", "extension": [good, good]}, definition, coded) == [
        ("error", "profile-cardinality", "Patient.extension[1]")
    ]
    wrong = {"url": BASE + "coded", "valueString": "x"}
    assert findings({"resourceType": "Patient", "extension": [wrong]}, definition, coded) == [
        ("error", "profile-type", "Patient.extension[0].valueString")
    ]


def test_an_extension_without_its_profile_is_counted_and_reported_as_unchecked(
    findings: Findings, profile: Profile
) -> None:
    definition = _on_patient(profile, "coded", min=1)
    extension = {"url": BASE + "coded", "valueCode": "x"}
    assert findings({"resourceType": "Patient", "extension": [extension]}, definition) == [
        ("warning", "profile-unknown", "Patient.extension[0]")
    ]
    unknown = {"url": "https://example.org/unknown", "valueCode": "x"}
    both = {"resourceType": "Patient", "extension": [extension, unknown]}
    assert findings(both, definition)[1:] == [
        ("information", "profile-unknown", "Patient.extension[1]")
    ]


def test_an_extension_at_hand_is_checked_at_any_place(findings: Findings, profile: Profile) -> None:
    coded = _extension(profile, "coded", {"path": "Extension.value[x]", "min": 1})
    patient = {
        "resourceType": "Patient",
        "_birthDate": {"extension": [{"url": BASE + "coded"}]},
    }
    assert findings(patient, coded, profiles=[]) == [
        ("error", "profile-cardinality", "Patient.birthDate.extension[0].value")
    ]


def test_nested_extensions_are_slices_of_the_outer_one(
    findings: Findings, profile: Profile
) -> None:
    inner = {
        "id": "Extension.extension:part",
        "path": "Extension.extension",
        "sliceName": "part",
        "min": 1,
    }
    url = {
        "id": "Extension.extension:part.url",
        "path": "Extension.extension.url",
        "fixedUri": "part",
    }
    outer = _extension(profile, "outer", inner, url)
    definition = _on_patient(profile, "outer")

    def patient(name: str) -> Json:
        nested = {"url": BASE + "outer", "extension": [{"url": name, "valueCode": "x"}]}
        return {"resourceType": "Patient", "extension": [nested]}

    assert findings(patient("part"), definition, outer) == []
    assert findings(patient("other"), definition, outer) == [
        ("error", "profile-cardinality", "Patient.extension[0].extension")
    ]


def test_a_differential_speaks_of_slices_of_the_profile_that_its_element_has(
    findings: Findings, profile: Profile
) -> None:
    part = {"id": "Extension.extension:part", "path": "Extension.extension", "sliceName": "part"}
    url = {
        "id": "Extension.extension:part.url",
        "path": "Extension.extension.url",
        "fixedUri": "part",
    }
    outer = _extension(profile, "outer", part, url)
    definition = _on_patient(profile, "outer")
    definition["differential"]["element"].append(
        {
            "id": "Patient.extension:outer.extension:part",
            "path": "Patient.extension.extension",
            "sliceName": "part",
            "min": 1,
        }
    )

    def patient(name: str) -> Json:
        nested = {"url": BASE + "outer", "extension": [{"url": name, "valueCode": "x"}]}
        return {"resourceType": "Patient", "extension": [nested]}

    assert findings(patient("part"), definition, outer) == []
    assert findings(patient("other"), definition, outer) == [
        ("error", "profile-cardinality", "Patient.extension[0].extension")
    ]

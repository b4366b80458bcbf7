"""Bundles and others that are damaged in every way that a sender could, the same for the same seed.

Members twice under any spelling and at any depth, left out, of another JSON type or another value,
exchanged; entries twice; bytes cut off or in front.
"""

import json
import random
import re
from collections.abc import Iterator
from typing import Any


class Members(list[tuple[str, Any]]):
    """A JSON object whose members may come twice, and be spelled in any way."""


def read(text: str) -> Any:
    return json.loads(text, object_pairs_hook=Members)


def written(value: Any) -> str:
    if isinstance(value, Members):
        return "{" + ",".join(f'"{name}":{written(each)}' for name, each in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


ORGANIZATION = '{"resourceType":"Organization","id":"o1","name":"x"}'
PATIENT = (
    '{"resourceType":"Patient","id":"p1","meta":{"lastUpdated":"2026-01-01T00:00:00Z"},'
    '"name":[{"family":"x","given":["y"]}],"gender":"male","birthDate":"1970-01-01"}'
)
OBSERVATION = (
    '{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},'
    '"subject":{"display":"x"},"valueQuantity":{"value":1.50,"unit":"mg"}}'
)


def entry(resource: str, *members: str) -> str:
    id_ = re.search(r'"resourceType":"(\w+)","id":"(\w+)"', resource)
    assert id_ is not None
    url = f'"fullUrl":"https://example.org/fhir/{id_[1]}/{id_[2]}"'
    return "{" + ",".join([url, f'"resource":{resource}', *members]) + "}"


def bundle(type_: str, *entries: str) -> str:
    return (
        f'{{"resourceType":"Bundle","id":"b","meta":{{"lastUpdated":"2026-01-01T00:00:00Z"}},'
        f'"type":"{type_}","timestamp":"2026-01-01T00:00:00Z",'
        f'"link":[{{"relation":"self","url":"https://example.org"}}],"entry":['
        + ",".join(entries)
        + "]}"
    )


POST = '"request":{"method":"POST","url":"Observation","ifNoneExist":"identifier=s|1"}'
PUT = '"request":{"method":"PUT","url":"Patient/p1","ifMatch":"1"}'
DELETE = '{"request":{"method":"DELETE","url":"Organization/o1"}}'
RESPONSE = '"response":{"status":"200","lastModified":"2026-01-01T00:00:00Z","etag":"1"}'
SEARCH = '"search":{"mode":"match","score":0.5}'
DELETE_BY_QUERY = '{"request":{"method":"DELETE","url":"Patient?identifier=x"}}'
GET = '{"request":{"method":"GET","url":"Patient?name=x"}}'
PATCH = (
    '{"resource":{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":'
    '"type","valueCode":"replace"}]}]},"request":{"method":"PATCH","url":"Patient/p1"}}'
)
OPERATION = (
    '{"resource":{"resourceType":"Parameters","parameter":[{"name":"resource","resource":'
    f'{PATIENT}}}]}},"request":{{"method":"POST","url":"Patient/$match"}}}}'
)
OUTCOME = (
    '{"resourceType":"OperationOutcome","id":"x","issue":[{"severity":"error","code":"not-found"}]}'
)
ANSWER = f'{{"response":{{"status":"404","outcome":{OUTCOME}}}}}'
REFERRING = (
    '{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"subject":'
    '{"reference":"urn:uuid:0a1b2c3d-0000-4000-8000-00000000000a"},"contained":['
    '{"resourceType":"Practitioner","id":"c"}],"participant":[{"individual":{"reference":"#c"}}]}'
)
BY_URN = f'{{"fullUrl":"urn:uuid:0a1b2c3d-0000-4000-8000-00000000000a","resource":{PATIENT},{PUT}}}'
HEADER = (
    '{"resourceType":"MessageHeader","id":"h1","eventCoding":{"code":"x"},"source":{"endpoint":'
    '"https://example.org/x"},"focus":[{"reference":"Patient/p1"}]}'
)
COMPOSITION = (
    '{"resourceType":"Composition","id":"c1","status":"final","type":{"text":"x"},"date":"2026",'
    '"subject":{"reference":"Patient/p1"},"author":[{"reference":"Organization/o1"}],"title":"x"}'
)
SEARCHSET = bundle(
    "searchset", entry(PATIENT, SEARCH), f'{{"resource":{OUTCOME},"search":{{"mode":"outcome"}}}}'
)
HELD = (
    f'{{"resourceType":"Parameters","parameter":[{{"name":"return","resource":{SEARCHSET}}},'
    f'{{"name":"p","part":[{{"name":"q","resource":{ORGANIZATION}}}]}},{{"name":"r","valueCode":"x"}}]}}'
)
DOCUMENTS = [
    bundle("batch", GET, PATCH, OPERATION, DELETE_BY_QUERY, entry(OBSERVATION, POST)),
    bundle(
        "batch-response",
        f'{{"resource":{SEARCHSET},"response":{{"status":"200"}}}}',
        f'{{"resource":{ORGANIZATION},{RESPONSE}}}',
        ANSWER,
    ),
    bundle(
        "collection",
        f'{{"fullUrl":"https://example.org/fhir/Bundle/b","resource":{SEARCHSET}}}',
        entry(ORGANIZATION),
    ),
    bundle(
        "transaction", BY_URN, entry(REFERRING, '"request":{"method":"POST","url":"Encounter"}')
    ),
    bundle("message", entry(HEADER), entry(PATIENT)),
    bundle("document", entry(COMPOSITION), entry(PATIENT), entry(ORGANIZATION)).replace(
        '"type"', '"identifier":{"system":"urn:x:y","value":"1"},"type"', 1
    ),
    bundle("searchset").replace(',"entry":[]', ""),
    HELD,
    OUTCOME,
    '{"resourceType":"Parameters","parameter":[{"name":"x","valueString":"y"}]}',
    '{"transactionTime":"2026-01-01T00:00:00Z","request":"x","output":[],"error":[]}',
    bundle("collection", *map(entry, [PATIENT, ORGANIZATION, OBSERVATION])),
    bundle("transaction", entry(PATIENT, PUT), entry(OBSERVATION, POST), DELETE),
    bundle("history", entry(PATIENT, PUT, RESPONSE), entry(OBSERVATION, POST, RESPONSE)),
    bundle("searchset", entry(PATIENT, SEARCH), entry(OBSERVATION, SEARCH)),
    PATIENT,
]


def objects_in(value: Any) -> Iterator[Members]:
    if isinstance(value, Members) and value:
        yield value
    for each in [v for _, v in value] if isinstance(value, Members) else value:
        if isinstance(each, list):
            yield from objects_in(each)


def respelled(name: str, chance: random.Random) -> str:
    return "".join(f"\\u{ord(c):04x}" if chance.random() < 0.3 else c for c in name)


def twice(document: Any, chance: random.Random) -> None:
    members = chance.choice(list(objects_in(document)))
    name, value = chance.choice(members)
    other = chance.choice([value, value, chance.choice(members)[1]])
    members.insert(chance.randrange(len(members) + 1), (respelled(name, chance), other))


def of_another_type(document: Any, chance: random.Random) -> None:
    members = chance.choice(list(objects_in(document)))
    at = chance.randrange(len(members))
    name, value = members[at]
    others = [None, 5, Members(), [], [value], [None], True]
    members[at] = (name, chance.choice(others if isinstance(value, str) else [*others, "x"]))


def exchanged(document: Any, chance: random.Random) -> None:
    members = chance.choice(list(objects_in(document)))
    one, other = (chance.randrange(len(members)) for _ in "12")
    (name, value), (other_name, other_value) = members[one], members[other]
    members[one], members[other] = (name, other_value), (other_name, value)


def left_out(document: Any, chance: random.Random) -> None:
    members = chance.choice(list(objects_in(document)))
    del members[chance.randrange(len(members))]


def of_another_value(document: Any, chance: random.Random) -> None:
    """Another type of Bundle, another method, another place: what R4 has, at the wrong place."""
    texts = [
        (members, at)
        for members in objects_in(document)
        for at, (_, value) in enumerate(members)
        if isinstance(value, str)
    ]
    if texts:
        members, at = chance.choice(texts)
        members[at] = (members[at][0], chance.choice(VALUES))


def entry_twice(document: Any, chance: random.Random) -> None:
    lists = [
        value
        for members in objects_in(document)
        for _, value in members
        if isinstance(value, list) and not isinstance(value, Members) and value
    ]
    if lists:
        listed = chance.choice(lists)
        listed.insert(chance.randrange(len(listed) + 1), chance.choice(listed))


def of_another_release(document: Any, _: random.Random) -> None:
    """What only R5 has of a Bundle, and nothing of a resource that R4 has."""
    document.append(("issues", read(OUTCOME)))


def naming(document: Any, chance: random.Random, profiles: list[str], member: str) -> None:
    """Let some of the resources name a profile, and one of the objects have a member."""
    resources = [each for each in objects_in(document) if dict(each).get("resourceType")]
    for each in chance.sample(resources, min(len(resources), chance.choice([0, 1, 1, 2]))):
        meta = Members(dict(each).get("meta") or [])
        each[:] = [named for named in each if named[0] != "meta"]
        each.append(("meta", Members([*meta, ("profile", [chance.choice(profiles)])])))
    if chance.random() < 0.3:
        holder = chance.choice([*resources, *objects_in(document)])
        holder += read(f"{{{member}}}")


WAYS = [
    *(twice, twice, of_another_type, exchanged, left_out, left_out),
    *(of_another_value, entry_twice, of_another_release),
]
VALUES = [
    *("collection", "searchset", "transaction", "batch", "history", "document", "message", "x"),
    *("batch-response", "PUT", "POST", "DELETE", "GET", "HEAD", "PATCH", "match", "outcome", ""),
    *("Patient", "Patient/p1", "Patient/p2", "Patient/$x", "Patient?x=y", "Bundle", "Parameters"),
    *("https://example.org/fhir/Patient/p1", "urn:uuid:0a1b2c3d-0000-4000-8000-00000000000a", "1"),
    *("OperationOutcome", "2026-01-01T00:00:00Z", "urn:x:y", "#c", "subscription-notification"),
]


def damaged(seed: int, profiles: list[str] | None = None, member: str = "") -> bytes:
    """A file that is damaged in one or two ways; the same one for the same seed.

    Args:
        seed: of what is chosen.
        profiles: that resources may name; where there are any, half of the files are whole else.
        member: that an object may have besides.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    document = read(chance.choice(DOCUMENTS))
    if profiles:
        naming(document, chance, profiles, member)
        if chance.random() < 0.5:
            return written(document).encode()
    for _ in range(chance.choice([1, 1, 2])):
        chance.choice(WAYS)(document, chance)
    data = written(document).encode()
    how = chance.random()
    if how < 0.05:
        return data[: chance.randrange(len(data))]
    if how < 0.1:
        return b"\xef\xbb\xbf" + data
    if how < 0.15:
        at = chance.randrange(len(data))
        return data[:at] + chance.choice([b"\xff", b"\xef\xbb\xbf", b"\0", b"{", b'"']) + data[at:]
    return data

from hypothesis import given
from hypothesis import strategies as st

from hc_assets.imaging.training.groups import groups_of

MEMBERS = st.sampled_from("abcdefghij")
LINKS = st.lists(st.tuples(MEMBERS, MEMBERS))


@given(LINKS)
def test_a_group_is_what_links_reach_and_is_named_by_its_least_member(links):
    found = groups_of(links)
    for member in found:
        reached, before = {member}, set()
        while reached != before:
            before = set(reached)
            reached |= {m for link in links if reached & set(link) for m in link}
        assert found[member] == min(reached)
        assert {m for m in found if found[m] == found[member]} == reached


@given(LINKS, st.randoms())
def test_the_order_of_links_does_not_matter(links, random):
    shuffled = random.sample(links, len(links))
    assert groups_of((b, a) for a, b in shuffled) == groups_of(links)

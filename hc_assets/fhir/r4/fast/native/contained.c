/* Contained resources: dom-2 to dom-5, and ref-1 for references to them. */
#include "fast_path.h"

/* The contained resource of a container that `#id` names; NULL for none. */
static const Resource *contained_named(const Run *run, int32_t container, Text reference) {
    Text id = {reference.at + 1, reference.size - 1};
    for (int32_t i = container + 1; i < run->resources.count; i++) {
        const Resource *resource = &run->resources.items[i];
        if (resource->container == container && same(resource->id, id)) return resource;
    }
    return NULL;
}

static int is_referred_to(const Run *run, int32_t container, const Resource *resource,
                          int32_t first) {
    for (int32_t i = first; i < run->references.count; i++) {
        Text text = run->references.items[i].text;
        if (run->references.items[i].resource != container || text.at[0] != '#') continue;
        Text id = {text.at + 1, text.size - 1};
        if (same(id, resource->id)) return 1;
    }
    return 0;
}

/* Whether the contained resources of a resource, and the references to them, are right.
 *
 * References inside contained resources, to others or to the container, go the thorough way, and
 * so does a resource with so many of either that looking one up costs too much.
 */
enum { MOST_CONTAINED = 100, MOST_FRAGMENTS = 100 };
int contained_are_valid(Run *run, int32_t container) {
    int32_t first = run->references.count, contained = 0, fragments = 0;
    /* What was read since this resource began belongs to it or to what it contains. */
    while (first > 0 && run->references.items[first - 1].resource >= container) first--;
    for (int32_t i = first; i < run->references.count; i++) {
        const Reference *reference = &run->references.items[i];
        if (reference->text.at[0] != '#') continue;
        if (reference->resource != container || ++fragments > MOST_FRAGMENTS) return 0;
        const Resource *found = contained_named(run, container, reference->text);
        if (found == NULL || !may_refer(run->table, reference->targets, found->shape)) return 0;
    }
    for (int32_t i = container + 1; i < run->resources.count; i++) {
        const Resource *resource = &run->resources.items[i];
        if (resource->container != container) continue;
        if (++contained > MOST_CONTAINED || resource->id.at == NULL || resource->has_contained ||
            resource->has_bad_meta || !is_referred_to(run, container, resource, first))
            return 0;
        for (int32_t other = container + 1; other < i; other++)
            if (run->resources.items[other].container == container &&
                same(run->resources.items[other].id, resource->id))
                return 0;
    }
    return 1;
}

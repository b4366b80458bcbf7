/* Bundles: what their type asks of entries, who entries are, and what URNs in them resolve to.
 *
 * The rules are those of fhir/r4/rules/bundle_rules.py and fhir/r4/rules/bundle_references.py, as far as they can be decided
 * entry by entry; documents and messages go the thorough way.
 */
#include "fast_path.h"

#include <string.h>

/* Captures of a bundle, in the order of packing.CAPTURES. */
enum { BUNDLE_ID = 0, BUNDLE_TYPE = 1, BUNDLE_TOTAL = 2, BUNDLE_LINK = 3 };

typedef struct {
    int is_search, is_history, asks, answers, may_lack_url, is_closed;
} Nature;

static int nature_of(Text type, Nature *nature) {
    memset(nature, 0, sizeof *nature);
    nature->is_search = is_text(type, "searchset");
    nature->is_history = is_text(type, "history");
    int is_transaction = is_text(type, "transaction"), is_batch = is_text(type, "batch");
    int is_response = is_text(type, "transaction-response") || is_text(type, "batch-response");
    nature->asks = is_transaction || is_batch || nature->is_history;
    nature->answers = is_response || nature->is_history;
    nature->may_lack_url = is_transaction || is_batch || is_response;
    return nature->is_search || nature->asks || nature->answers || is_text(type, "collection");
}

static int ends_with_name(Text url, const Resource *resource) {
    Text type = resource->shape->name, id = resource->id;
    size_t size = type.size + id.size + 2;
    if (id.at == NULL || url.size < size) return 0;
    const uint8_t *end = url.at + url.size - size;
    return end[0] == '/' && memcmp(end + 1, type.at, type.size) == 0 && end[1 + type.size] == '/' &&
           memcmp(end + 2 + type.size, id.at, id.size) == 0;
}

/* Whether anything in an entry refers to something. */
static int refers(const Run *run, int32_t entry, int32_t first) {
    for (int32_t i = first; i < run->resources.count && run->resources.items[i].entry == entry; i++)
        if (run->resources.items[i].has_reference) return 1;
    return 0;
}

static int is_identified(const Run *run, int32_t number, const Nature *nature) {
    const Entry *entry = &run->entries.items[number];
    if (entry->full_url.at == NULL)
        return nature->may_lack_url &&
               (entry->resource < 0 || !refers(run, number, entry->resource));
    if (entry->resource < 0) return 0;
    if (begins(entry->full_url, "urn:")) return is_urn_uuid(entry->full_url);
    int is_server = begins(entry->full_url, "http://") || begins(entry->full_url, "https://");
    return is_server && is_absolute_url(entry->full_url) &&
           ends_with_name(entry->full_url, &run->resources.items[entry->resource]);
}

/* The resource type that a search set was asked for, by its self link; see searched_type. */
static const Shape *searched_type(const Table *table, Text links, int *is_certain) {
    Text link;
    const uint8_t *position = NULL;
    while (next_item(links, &position, &link)) {
        Text relation = plain_string(member_in(link, "relation"), is_certain);
        if (!is_text(relation, "self")) continue;
        Text url = plain_string(member_in(link, "url"), is_certain);
        for (size_t i = 0; i < url.size; i++) {
            if (i > 0 && url.at[i - 1] != '/') continue;
            Text name = {url.at + i, 0};
            while (i + name.size < url.size && (name.at[name.size] | 32) >= 'a' &&
                   (name.at[name.size] | 32) <= 'z')
                name.size++;
            Text rest = {name.at + name.size, url.size - i - name.size};
            if (begins(rest, "/_search")) {
                rest.at += 8;
                rest.size -= 8;
            }
            if (name.size < 2 || !begins(rest, "?")) continue;
            int32_t string = string_in(table, &table->sets[table->packed.resource_set], name);
            if (string >= 0) return &table->shapes[table->shape_of_string[string]];
            *is_certain = 0; /* the thorough path may look on, or not */
        }
    }
    return NULL;
}

static int search_is_valid(const Run *run, const Frame *bundle) {
    int is_certain = 1;
    const Shape *wanted =
        searched_type(run->table, bundle->captures[BUNDLE_LINK], &is_certain);
    for (int32_t i = 0; i < run->entries.count; i++) {
        const Entry *entry = &run->entries.items[i];
        if (entry->resource < 0) return 0;
        const Resource *resource = &run->resources.items[entry->resource];
        int is_match = is_text(entry->mode, "match");
        if (!is_match && !is_text(entry->mode, "include")) return 0;
        if (resource->id.at == NULL || (is_match && wanted != NULL && wanted != resource->shape))
            return 0;
    }
    return is_certain;
}

/* Whether no relation comes twice that only one link may have. */
static int links_are_valid(Text links) {
    static const char *const once[] = {"self", "first", "previous", "prev", "next", "last"};
    Text link;
    const uint8_t *position = NULL;
    int is_certain = 1;
    unsigned seen = 0;
    while (links.at != NULL && next_item(links, &position, &link)) {
        Text relation = plain_string(member_in(link, "relation"), &is_certain);
        for (unsigned i = 0; i < sizeof once / sizeof *once; i++) {
            if (!is_text(relation, once[i])) continue;
            if (seen >> i & 1) return 0;
            seen |= 1u << i;
        }
    }
    return is_certain;
}

/* Whether an update certainly carries the resource that its url names; see names_another. */
static int carries_what_it_names(const Run *run, const Entry *entry) {
    if (!is_text(entry->method, "PUT") || entry->resource < 0) return 1;
    if (entry->url.at == NULL) return 0;
    if (memchr(entry->url.at, '?', entry->url.size) != NULL) return 1;
    const Resource *resource = &run->resources.items[entry->resource];
    Text type = resource->shape->name, rest = entry->url;
    if (rest.size <= type.size || memcmp(rest.at, type.at, type.size) != 0) return 0;
    if (rest.at[type.size] != '/') return 0;
    rest.at += type.size + 1;
    rest.size -= type.size + 1;
    return resource->id.at == NULL || same(rest, resource->id);
}

static int requests_are_valid(const Run *run, const Nature *nature, Text total) {
    if (total.at != NULL && !nature->is_search && !nature->is_history) return 0; /* bdl-1 */
    for (int32_t i = 0; i < run->entries.count; i++) {
        const Entry *entry = &run->entries.items[i];
        if (entry->has_search && !nature->is_search) return 0;       /* bdl-2 */
        if (entry->has_request != nature->asks) return 0;            /* bdl-3 */
        if (entry->has_response != nature->answers) return 0;        /* bdl-4 */
        if (!carries_what_it_names(run, entry)) return 0;
    }
    return 1;
}

/* What stands for an entry in a hash table of entries: a key and the number of the entry. */
typedef Text (*KeyOf)(const Entry *entry);

static Text url_of(const Entry *entry) { return entry->full_url; }

static Text changed_url(const Entry *entry) {
    static const Text none = {NULL, 0};
    int changes = is_text(entry->method, "PUT") || is_text(entry->method, "DELETE") ||
                  is_text(entry->method, "PATCH");
    return changes ? entry->url : none;
}

static int make_index(Run *run) {
    int32_t size = 8;
    while (size < 2 * run->entries.count) size *= 2;
    while (run->index.count < size)
        if (PUSH(run, run->index) == NULL) return 0;
    run->index.count = size;
    memset(run->index.items, 0, (size_t)size * sizeof *run->index.items);
    return 1;
}

/* Keys may be chosen to fall together: after so many steps a look-up is given up. */
enum { MOST_STEPS = 1000, GIVEN_UP = INT32_MIN };

/* The number of the entry with a key, or of where it would be put; -1 - slot for none. */
static int32_t look_up(const Run *run, KeyOf key_of, Text key) {
    uint32_t mask = (uint32_t)run->index.count - 1, slot = hash_of(key) & mask;
    for (int steps = 0; run->index.items[slot] != 0; steps++) {
        int32_t found = run->index.items[slot] - 1;
        if (same(key_of(&run->entries.items[found]), key)) return found;
        if (steps == MOST_STEPS) return GIVEN_UP;
        slot = (slot + 1) & mask;
    }
    return -1 - (int32_t)slot;
}

/* Puts all entries that have a key into the index; 0 where two have the same one. */
static int are_distinct(Run *run, KeyOf key_of) {
    if (!make_index(run)) return 0;
    for (int32_t i = 0; i < run->entries.count; i++) {
        Text key = key_of(&run->entries.items[i]);
        if (key.at == NULL) continue;
        int32_t found = look_up(run, key_of, key);
        if (found >= 0 || found == GIVEN_UP) return 0;
        run->index.items[-1 - found] = i + 1;
    }
    return 1;
}

/* Entries without fullUrl are distinguished by type and id; where there are such, few enough to
 * compare each with each, since only transactions have them. */
static int unnamed_are_distinct(const Run *run) {
    int32_t unnamed = 0;
    for (int32_t i = 0; i < run->entries.count; i++) {
        const Entry *entry = &run->entries.items[i];
        if (entry->full_url.at != NULL || entry->resource < 0) continue;
        const Resource *resource = &run->resources.items[entry->resource];
        if (resource->id.at == NULL) continue;
        if (++unnamed > 500) return 0;
        for (int32_t j = 0; j < i; j++) {
            const Entry *other = &run->entries.items[j];
            if (other->full_url.at != NULL || other->resource < 0) continue;
            const Resource *found = &run->resources.items[other->resource];
            if (found->shape == resource->shape && same(found->id, resource->id)) return 0;
        }
    }
    return 1;
}

static int urns_resolve(const Run *run) {
    for (int32_t i = 0; i < run->references.count; i++) {
        const Reference *reference = &run->references.items[i];
        if (reference->text.at[0] == '#') continue;
        int32_t found = look_up(run, url_of, reference->text);
        if (found < 0) return 0;
        const Entry *entry = &run->entries.items[found];
        if (!may_refer(run->table, reference->targets, run->resources.items[entry->resource].shape))
            return 0;
    }
    return 1;
}

int bundle_is_valid(Run *run, const Frame *bundle) {
    Nature nature;
    if (!nature_of(bundle->captures[BUNDLE_TYPE], &nature)) return 0;
    if (!links_are_valid(bundle->captures[BUNDLE_LINK])) return 0;
    if (!requests_are_valid(run, &nature, bundle->captures[BUNDLE_TOTAL])) return 0;
    for (int32_t i = 0; i < run->entries.count; i++)
        if (!is_identified(run, i, &nature)) return 0;
    if (nature.is_search && !search_is_valid(run, bundle)) return 0;
    if (nature.asks && !nature.is_history && !are_distinct(run, changed_url)) return 0;
    /* A history may name a resource several times; what a URN names in it, the thorough path says. */
    if (nature.is_history) return run->references.count == 0;
    return are_distinct(run, url_of) && unnamed_are_distinct(run) && urns_resolve(run);
}

/* Where the entries of a Bundle are, and what stands in them, in one pass over its text.
 *
 * Belongs here: usual Bundles. One that is unusual in any way is left to Python, whole or an entry of
 * it. The text is JSON that a parser has accepted already.
 */
#include "json_places.h"

typedef struct {
    int64_t begin, end; /* -1 where there is none */
} Place;

typedef struct {
    Place whole, full_url, resource, request, type, id;
    int64_t is_unusual;
} Entry;

typedef struct {
    Place type, meta, timestamp;
} Head;

typedef struct {
    const uint8_t *text, *end, *at;
    const uint8_t *name, *value;
    size_t name_size;
} Walk;

/* Goes to the next member of an object, whose value's end is not known yet; `at` is behind the
 * brace or behind the value before. 1 where there is one, 0 at the end, MALFORMED. */
static int next_member(Walk *walk) {
    const uint8_t *at = skip_space(walk->at, walk->end);
    if (at < walk->end && *at == ',') at = skip_space(at + 1, walk->end);
    if (at >= walk->end) return MALFORMED;
    if (*at == '}') {
        walk->at = at + 1;
        return 0;
    }
    if (*at != '"') return MALFORMED;
    const uint8_t *close = string_end(at + 1, walk->end);
    if (close == NULL) return MALFORMED;
    walk->name = at + 1;
    walk->name_size = (size_t)(close - walk->name);
    at = skip_space(close + 1, walk->end);
    if (at >= walk->end || *at != ':') return MALFORMED;
    walk->value = walk->at = skip_space(at + 1, walk->end);
    return walk->value < walk->end ? 1 : MALFORMED;
}

/* Goes behind the value of the member that was found. */
static int skip_member(Walk *walk) {
    const uint8_t *end = value_end(walk->value, walk->end);
    if (end == NULL || end == walk->value) return MALFORMED;
    walk->at = end;
    return 1;
}

static int is_named(const Walk *walk, const char *name, size_t size) {
    return walk->name_size == size && memcmp(walk->name, name, size) == 0;
}
#define NAMED(walk, name) is_named(walk, name, sizeof name - 1)

static int has_escape(const Walk *walk) {
    return memchr(walk->name, '\\', walk->name_size) != NULL;
}

static Place value_of(const Walk *walk) {
    Place place = {walk->value - walk->text, walk->at - walk->text};
    return place;
}

/* Takes a value once; a second one of the same name makes its entry unusual. */
static void take(Place *place, const Walk *walk, int64_t *is_unusual) {
    if (place->begin >= 0) *is_unusual = 1;
    *place = value_of(walk);
}

/* A resource: its type and id, of which the last of each counts. */
static int resource(Walk *walk, Entry *entry) {
    Walk inside = *walk;
    int found;
    inside.at = walk->value + 1;
    while ((found = next_member(&inside)) == 1) {
        if (skip_member(&inside) < 0) return MALFORMED;
        if (has_escape(&inside)) entry->is_unusual = 1;
        if (NAMED(&inside, "resourceType")) entry->type = value_of(&inside);
        if (NAMED(&inside, "id")) entry->id = value_of(&inside);
    }
    walk->at = inside.at;
    return found;
}

static int entry_at(Walk *walk, Entry *entry) {
    const Place none = {-1, -1};
    const uint8_t *begin = walk->at;
    int found;
    entry->full_url = entry->resource = entry->request = entry->type = entry->id = none;
    entry->is_unusual = 0;
    if (*begin != '{') return MALFORMED;
    walk->at = begin + 1;
    while ((found = next_member(walk)) == 1) {
        if (NAMED(walk, "resource") && *walk->value == '{') {
            if (resource(walk, entry) < 0) return MALFORMED;
            take(&entry->resource, walk, &entry->is_unusual);
            continue;
        }
        if (skip_member(walk) < 0) return MALFORMED;
        if (NAMED(walk, "fullUrl")) {
            take(&entry->full_url, walk, &entry->is_unusual);
        } else if (NAMED(walk, "request")) {
            take(&entry->request, walk, &entry->is_unusual);
        } else if (NAMED(walk, "resource") || NAMED(walk, "response") || has_escape(walk)) {
            entry->is_unusual = 1;
        }
    }
    entry->whole.begin = begin - walk->text;
    entry->whole.end = walk->at - walk->text;
    return found;
}

static int64_t entries_at(Walk *walk, Entry *entries, int64_t capacity) {
    int64_t count = 0;
    const uint8_t *at = walk->value + 1;
    for (;;) {
        at = skip_space(at, walk->end);
        if (at < walk->end && *at == ',') at = skip_space(at + 1, walk->end);
        if (at >= walk->end) return MALFORMED;
        if (*at == ']') {
            walk->at = at + 1;
            return count;
        }
        if (count == capacity) return FULL;
        walk->at = at;
        if (entry_at(walk, &entries[count]) < 0) return MALFORMED;
        count++;
        at = walk->at;
    }
}

/* Finds the entries of a Bundle.
 *
 * Gives how many there are; FULL where there are more than fit; MALFORMED where the Bundle is unusual
 * as a whole: it has no list of objects as `entry`, or says something twice or with escapes. */
EXPORT int64_t hc_bundle_entries(const uint8_t *text, int64_t size, Head *head, Entry *entries,
                                 int64_t capacity) {
    const Place none = {-1, -1};
    Walk walk = {text, text + size, skip_space(text, text + size), NULL, NULL, 0};
    int64_t count = -1, is_unusual = 0;
    int found;
    head->type = head->meta = head->timestamp = none;
    if (walk.at >= walk.end || *walk.at != '{') return MALFORMED;
    walk.at++;
    while ((found = next_member(&walk)) == 1) {
        if (NAMED(&walk, "entry")) {
            if (count >= 0 || *walk.value != '[') return MALFORMED;
            count = entries_at(&walk, entries, capacity);
            if (count < 0) return count;
            continue;
        }
        if (skip_member(&walk) < 0) return MALFORMED;
        if (NAMED(&walk, "type")) take(&head->type, &walk, &is_unusual);
        if (NAMED(&walk, "meta")) take(&head->meta, &walk, &is_unusual);
        if (NAMED(&walk, "timestamp")) take(&head->timestamp, &walk, &is_unusual);
        if (has_escape(&walk)) is_unusual = 1;
    }
    return found < 0 || is_unusual || count < 0 ? MALFORMED : count;
}

/* Bundles without what their entries' resources are judged by on their own.
 *
 * Of each resource that an entry holds only those facts are noted that rules on the Bundle look at:
 * type and id, whether it refers to anything, and what its URNs may lead to. Everything else in the
 * Bundle is read as ever, and the rules are those of bundle.c.
 */
#include "fast_path.h"

#include <string.h>

typedef const uint8_t *Position;

/* The members that lead from a resource to a value in it. */
typedef struct Path {
    struct Path *parent;
    Text name;
    Position object;  /* that is being passed there */
} Path;

/* The member that a path leads to; NULL where it leads nowhere. */
static const Member *member_at(Run *run, const Shape *root, const Path *path) {
    const Shape *holder = root;
    if (path->parent != NULL) {
        const Member *around = member_at(run, root, path->parent);
        Text type;
        if (around == NULL) return NULL;
        if (around->form == OBJECT) holder = &run->table->shapes[around->shape];
        else if (around->form == RESOURCE) holder = stated_type(run, path->parent->object, &type);
        else return NULL;
        if (holder == NULL) return NULL;
    }
    return find_member(holder, path->name);
}

/* Notes a reference, which stands in the object that the path leads to. */
static int note_reference(Run *run, int32_t number, Path *path, Text text) {
    if (text.size == 0 || text.at[0] == '#') return 1;
    Resource *resource = &run->resources.items[number];
    resource->has_reference = 1;
    if (!begins(text, "urn:")) return 1;
    if (path == NULL) return 0;
    const Member *member = member_at(run, resource->shape, path);
    if (member == NULL || member->form != OBJECT) return 0;
    if (run->table->shapes[member->shape].kind != REFERENCE) return 1;
    Reference *reference = PUSH(run, run->references);
    if (reference == NULL) return 0;
    Reference made = {text, member->targets, number, 0};
    *reference = made;
    return 1;
}

/* As skip_space, without a call where there is none. */
static inline Position skip(Position at, Position end) {
    return at < end && *at > ' ' ? at : skip_space(at, end);
}

/* A string without escapes, from its quote. */
static Position pass_plain(Position at, Position end, Text *text) {
    int is_ascii, has_escape;
    if (at >= end || *at != '"') return NULL;
    text->at = ++at;
    at = pass_string(at, end, &is_ascii, &has_escape);
    if (at == NULL || has_escape) return NULL;
    text->size = (size_t)(at - 1 - text->at);
    return at;
}

/* The name of a member and its colon. */
static Position pass_member(Position at, Position end, Text *name) {
    at = pass_plain(at, end, name);
    if (at == NULL) return NULL;
    at = skip(at, end);
    return at < end && *at == ':' ? skip(at + 1, end) : NULL;
}

static Position note_value(Run *run, Position at, int depth, int32_t number, Path *path) {
    Position end = run->end;
    if (at >= end || (*at != '{' && *at != '[')) return pass_value(at, end, depth);
    int is_object = *at == '{';
    uint8_t closing = is_object ? '}' : ']';
    if (depth >= MAX_DEPTH) return NULL;
    if (is_object) path->object = at;
    at = skip(at + 1, end);
    if (at < end && *at == closing) return at + 1;
    for (;;) {
        if (is_object) {
            Path inner = {path, {NULL, 0}, NULL};
            at = pass_member(at, end, &inner.name);
            if (at == NULL || at >= end) return NULL;
            if (*at == '"' && is_text(inner.name, "reference")) {
                Text text;
                at = pass_plain(at, end, &text);
                if (at == NULL || !note_reference(run, number, path, text)) return NULL;
            } else if (*at == '"') {
                int is_ascii, has_escape;
                at = pass_string(at + 1, end, &is_ascii, &has_escape);
            } else {
                at = note_value(run, at, depth + 1, number, &inner);
            }
        } else {
            at = note_value(run, at, depth + 1, number, path);
        }
        if (at == NULL) return NULL;
        at = skip(at, end);
        if (at >= end) return NULL;
        if (*at == closing) return at + 1;
        if (*at != ',') return NULL;
        at = skip(at + 1, end);
    }
}

/* From its brace, which the caller has counted as a level. */
const uint8_t *note_resource(Run *run, const uint8_t *at, int32_t number) {
    Position end = run->end;
    int has_type = 0, has_id = 0;
    at = skip(at + 1, end);
    for (;;) {
        Path path = {NULL, {NULL, 0}, NULL};
        at = pass_member(at, end, &path.name);
        if (at == NULL || at >= end) return NULL;
        if (is_text(path.name, "resourceType") && has_type++) return NULL;
        if (is_text(path.name, "id")) {
            Text id;
            at = pass_plain(at, end, &id);
            if (at == NULL || has_id++ || !is_id(id)) return NULL;
            run->resources.items[number].id = id;
        } else {
            at = note_value(run, at, run->depth, number, &path);
        }
        if (at == NULL) return NULL;
        at = skip(at, end);
        if (at >= end) return NULL;
        if (*at == '}') return at + 1;
        if (*at != ',') return NULL;
        at = skip(at + 1, end);
    }
}

/* Whether a Bundle is certainly right but for the resources in it, each of which is judged on its own.
 *
 * The resource in a DELETE is not: where there is one, this can't decide.
 */
EXPORT int32_t hc_accept_envelope(Run *run, const uint8_t *text, size_t size) {
    run->is_envelope = 1;
    int is_accepted = accept(run, text, size) && run->narratives.count == 0;
    run->is_envelope = run->is_accepted = 0;
    for (int32_t i = 0; i < run->entries.count; i++) {
        const Entry *entry = &run->entries.items[i];
        if (entry->resource >= 0 && is_text(entry->method, "DELETE")) return 0;
    }
    return is_accepted;
}

/* Whether what was accepted last is a Bundle of nothing but resources to be stored as they are.
 *
 * It may say no of one that is: then its entries are looked at one by one.
 */
EXPORT int32_t hc_holds_only_data(const Run *run) {
    if (!run->is_accepted) return 0;
    for (int32_t i = 0; i < run->entries.count; i++) {
        const Entry *entry = &run->entries.items[i];
        if (entry->resource < 0) return 0;
        Text type = run->resources.items[entry->resource].shape->name;
        if (is_text(type, "OperationOutcome") || is_text(type, "Parameters") ||
            is_text(type, "Bundle"))
            return 0;
        if (entry->method.at == NULL) continue;
        if (!is_text(entry->method, "POST") && !is_text(entry->method, "PUT")) return 0;
        if (entry->url.at != NULL && memchr(entry->url.at, '$', entry->url.size) != NULL) return 0;
    }
    return run->entries.count > 0;
}

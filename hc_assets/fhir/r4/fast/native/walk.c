/* One pass over the bytes: objects beside their types, members beside their elements. */
#include "fast_path.h"

#include <stdlib.h>
#include <string.h>

/* Where a run is in a text: just behind what has been read; NULL where it can't decide. */
typedef const uint8_t *Position;

static Position read_value(Run *run, Position at, const Member *member, Frame *frame);

static Position read_word(Position at, const uint8_t *end, const char *word, size_t size) {
    if ((size_t)(end - at) < size || memcmp(at, word, size) != 0) return NULL;
    return at + size;
}

static int code_is_bound(const Table *table, const Member *member, Text code) {
    if (member->codes <= -2) return has_syntax((enum Syntax)(-2 - member->codes), code);
    return member->codes < 0 || string_in(table, &table->sets[member->codes], code) >= 0;
}

static Position read_primitive(Run *run, Position at, const Member *member, Frame *frame) {
    Text raw = {at, 0};
    if (member->rule_count > 0) return NULL; /* no rule on a primitive is known here */
    if (member->form <= XHTML) {
        String value;
        if (*at != '"') return NULL;
        at = scan_string(run, at + 1, &value);
        if (at == NULL || !has_form((enum Form)member->form, &value)) return NULL;
        if (member->codes != -1 && !code_is_bound(run->table, member, value.text)) return NULL;
        if (member->needs_absolute && !is_absolute_url(value.text)) return NULL;
        if (member->form == XHTML) {
            Pair *place = PUSH(run, run->narratives);
            if (place == NULL) return NULL;
            place->first = (int32_t)(raw.at - run->begin);
            place->second = (int32_t)(at - run->begin);
        }
        raw = value.text;
    } else if (member->form == BOOLEAN) {
        at = *at == 't' ? read_word(at, run->end, "true", 4) : read_word(at, run->end, "false", 5);
        if (at == NULL) return NULL;
        raw.size = (size_t)(at - raw.at);
    } else {
        int is_integer;
        at = scan_number(at, run->end, &is_integer);
        if (at == NULL) return NULL;
        raw.size = (size_t)(at - raw.at);
        if (member->form != DECIMAL && (!is_integer || !is_integer_in((enum Form)member->form, raw)))
            return NULL;
    }
    if (member->capture >= 0) frame->captures[member->capture] = raw;
    return at;
}

/* What holds for an object once all of it has been read. */
static int close_object(Run *run, Frame *frame) {
    const Shape *shape = frame->shape;
    const Member *member = frame->member;
    if ((frame->seen & shape->required) != shape->required) return 0;
    /* ele-1: an element has a value or children, not an id alone. */
    if (member != NULL && ((frame->seen & ~shape->id_bit) | frame->siblings) == 0) return 0;
    if (shape->rule_count > 0 && !rules_hold(run->table, frame, shape->rules, shape->rule_count))
        return 0;
    if (member != NULL && member->rule_count > 0 &&
        !rules_hold(run->table, frame, member->rules, member->rule_count))
        return 0;
    switch ((enum Kind)shape->kind) {
    case EXTENSION: return extension_is_valid(run, frame);
    case REFERENCE: return reference_is_valid(run, frame);
    case META: return meta_is_valid(run, frame);
    case ATTACHMENT: return attachment_is_valid(frame);
    case CODING: return coding_is_known(run->table, frame);
    case BOUND_QUANTITY: return unit_fits(run->table, frame);
    case QUANTITY: note_quantity(frame); return 1;
    case COMPONENT: note_component(frame); return 1;
    case BUNDLE_ENTRY: return entry_is_noted(run, frame);
    case NEVER: return 0;
    default: return 1;
    }
}

/* The member that a name means; its element must not have been met before. */
static const Member *next_member(Frame *frame, Text name) {
    const Member *member = find_member(frame->shape, name);
    if (UNLIKELY(member == NULL)) return NULL;
    uint64_t bit = (uint64_t)1 << member->element;
    uint64_t *met = member->is_sibling ? &frame->siblings : &frame->seen;
    if (*met & bit) return NULL;
    *met |= bit;
    if (member->value_bit >= 0) frame->value_bit = member->value_bit;
    return member;
}

/* The members of an object, behind its opening brace. `type` is the resource's, which has stated its
 * shape already; NULL for any other object. */
static Position read_members(Run *run, Position at, Frame *frame, const Text *type) {
    const uint8_t *end = run->end;
    int has_type = 0;
    at = skip_space(at, end);
    if (at < end && *at == '}') return NULL;
    for (;;) {
        if (at >= end || *at != '"') return NULL;
        Text name = {++at, 0};
        while (at < end && *at != '"') at++;
        if (at >= end) return NULL;
        name.size = (size_t)(at - name.at);
        at = skip_space(at + 1, end);
        if (at >= end || *at != ':') return NULL;
        at = skip_space(at + 1, end);
        if (at >= end) return NULL;
        if (UNLIKELY(type != NULL && is_text(name, "resourceType"))) {
            String value;
            if (has_type || *at != '"') return NULL;
            at = scan_string(run, at + 1, &value);
            if (at == NULL || !same(value.text, *type)) return NULL;
            has_type = 1;
        } else {
            const Member *member = next_member(frame, name);
            if (UNLIKELY(member == NULL)) return NULL;
            at = read_value(run, at, member, frame);
            if (UNLIKELY(at == NULL)) return NULL;
        }
        at = skip_space(at, end);
        if (at >= end) return NULL;
        if (*at == '}') break;
        if (*at != ',') return NULL;
        at = skip_space(at + 1, end);
    }
    return type != NULL && !has_type ? NULL : at + 1;
}

static void open_frame(Frame *frame, const Shape *shape, const Member *member, Frame *parent) {
    frame->shape = shape;
    frame->member = member;
    frame->parent = parent;
    frame->seen = frame->siblings = frame->meta_seen = 0;
    memset(frame->captures, 0, sizeof frame->captures);
    frame->value_bit = -1;
    frame->child_count = 0;
    frame->sign = frame->vital_categories = 0;
    frame->quantity.at = NULL;
    frame->quantity.size = 0;
    frame->resource = parent == NULL ? -1 : parent->resource;
}

static Position read_object(Run *run, Position at, const Member *member, Frame *parent) {
    Frame frame;
    Position start = at;
    if (*at != '{' || ++run->depth > MAX_DEPTH) return NULL;
    open_frame(&frame, &run->table->shapes[member->shape], member, parent);
    if (frame.shape->kind == BUNDLE_ENTRY) {
        Entry *entry = PUSH(run, run->entries);
        if (entry == NULL) return NULL;
        memset(entry, 0, sizeof *entry);
        entry->resource = -1;
    }
    at = read_members(run, at + 1, &frame, NULL);
    if (at == NULL || !close_object(run, &frame)) return NULL;
    run->depth--;
    Text raw = {start, (size_t)(at - start)};
    if (member->codes != -1 && !concept_is_bound(run->table, member, raw)) return NULL;
    if (member->capture >= 0 && !member->is_list) parent->captures[member->capture] = raw;
    return at;
}

/* The resource type that an object states, which nearly always comes first. */
const Shape *stated_type(Run *run, Position object, Text *type) {
    const Table *table = run->table;
    const uint8_t *end = run->end;
    Position at = skip_space(object + 1, end);
    int is_certain = 1;
    Text rest = {object, (size_t)(end - object)}, value;
    if ((size_t)(end - at) > 14 && memcmp(at, "\"resourceType\"", 14) == 0) {
        at = skip_space(at + 14, end);
        if (at >= end || *at != ':') return NULL;
        value.at = skip_space(at + 1, end);
        at = skip_value(value.at, end);
        if (at == NULL) return NULL;
        value.size = (size_t)(at - value.at);
    } else {
        value = member_in(rest, "resourceType");
    }
    *type = plain_string(value, &is_certain);
    if (!is_certain || type->size == 0) return NULL;
    int32_t string = string_in(table, &table->sets[table->packed.resource_set], *type);
    return string < 0 ? NULL : &table->shapes[table->shape_of_string[string]];
}

static int is_domain(const Shape *shape) {
    return shape->kind == DOMAIN_RESOURCE || shape->kind == OBSERVATION;
}

static int close_resource(Run *run, Frame *frame, int32_t container, int32_t entry) {
    const Shape *shape = frame->shape;
    const Packed *packed = &run->table->packed;
    if (!close_object(run, frame)) return 0;
    Resource *resource = &run->resources.items[frame->resource];
    uint64_t forbidden = (uint64_t)(uint32_t)packed->meta_forbidden_high << 32 |
                         (uint32_t)packed->meta_forbidden_low;
    resource->has_bad_meta = (frame->meta_seen & forbidden) != 0;
    resource->has_contained = (frame->seen & shape->contained_bit) != 0;
    resource->id = frame->captures[0];
    if (frame->sign != 0 && (container >= 0 || !vital_sign_is_valid(run, frame))) return 0;
    if (is_domain(shape) && container < 0) {
        if ((frame->seen & shape->text_bit) == 0) {
            Pair *bare = PUSH(run, run->bare);
            if (bare == NULL) return 0;
            bare->first = entry;
            bare->second = (int32_t)(shape - run->table->shapes);
        }
        return contained_are_valid(run, frame->resource);
    }
    return 1;
}

/* A resource; `parent` is the frame that it is in, NULL for the document's root. */
static Position read_resource(Run *run, Position at, Frame *parent) {
    Frame frame;
    Text type;
    int32_t container = -1, entry = -1;
    if (at >= run->end || *at != '{' || ++run->depth > MAX_DEPTH) return NULL;
    const Shape *shape = stated_type(run, at, &type);
    if (shape == NULL) return NULL;
    if (parent != NULL) {
        /* Whole resources are in bundles' entries and in `contained`; others are left to the
         * thorough path, and so are bundles in bundles. */
        if (shape->kind == BUNDLE && !run->is_envelope) return NULL;
        if (run->is_envelope && parent->shape->kind != BUNDLE_ENTRY) return NULL;
        if (parent->shape->kind == BUNDLE_ENTRY) entry = run->entries.count - 1;
        else if (is_domain(parent->shape)) container = parent->resource;
        else return NULL;
        if (container >= 0) entry = run->resources.items[container].entry;
    }
    open_frame(&frame, shape, NULL, parent);
    frame.resource = run->resources.count;
    Resource *resource = PUSH(run, run->resources);
    if (resource == NULL) return NULL;
    memset(resource, 0, sizeof *resource);
    resource->shape = shape;
    resource->container = container;
    resource->entry = entry;
    if (entry >= 0 && container < 0) run->entries.items[entry].resource = frame.resource;
    if (run->is_envelope && parent != NULL) {
        at = note_resource(run, at, frame.resource);
        run->depth--;
        return at;
    }
    at = read_members(run, at + 1, &frame, &type);
    if (at == NULL || !close_resource(run, &frame, container, entry)) return NULL;
    if (shape->kind == BUNDLE && !bundle_is_valid(run, &frame)) return NULL;
    run->depth--;
    return at;
}

static Position read_one(Run *run, Position at, const Member *member, Frame *frame) {
    if (member->form < OBJECT) return read_primitive(run, at, member, frame);
    if (member->form == OBJECT) return read_object(run, at, member, frame);
    return read_resource(run, at, frame);
}

static Position read_value(Run *run, Position at, const Member *member, Frame *frame) {
    const uint8_t *end = run->end;
    if (!member->is_list) return read_one(run, at, member, frame);
    Position start = at;
    uint32_t count = 0;
    if (*at != '[' || ++run->depth > MAX_DEPTH) return NULL;
    at++;
    do {
        at = skip_space(at, end);
        if (at >= end) return NULL;
        at = read_one(run, at, member, frame);
        if (at == NULL) return NULL;
        count++;
        at = skip_space(at, end);
        if (at >= end) return NULL;
    } while (*at++ == ',');
    if (at[-1] != ']' || count < member->min || (member->max > 0 && count > member->max)) return NULL;
    run->depth--;
    if (member->capture >= 0) {
        Text raw = {start, (size_t)(at - start)};
        frame->captures[member->capture] = raw;
    }
    return at;
}

int accept(Run *run, const uint8_t *text, size_t size) {
    while (run->scratch.count > 0) free(run->scratch.items[--run->scratch.count]);
    run->resources.count = run->references.count = run->entries.count = 0;
    run->narratives.count = run->bare.count = 0;
    run->begin = text;
    run->end = text + size;
    run->depth = 0;
    run->is_out_of_memory = 0;
    if (size > INT32_MAX) return 0;
    Position at = read_resource(run, skip_space(text, run->end), NULL);
    return at != NULL && skip_space(at, run->end) == run->end;
}

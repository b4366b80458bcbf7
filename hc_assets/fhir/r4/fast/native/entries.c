/* Where the entries of a bundle, or the lines of a file, begin and end, and what each says of itself.
 *
 * One pass over the bytes, for what nearly all files hold: JSON without faults, entries that ask for
 * nothing but to be stored. Whatever is out of the ordinary is left to fhir/bundles/read.py, which says what is
 * to become of it; so every function here may return that it can't decide.
 */
#include "entry_rows.h"
#include "fast_path.h"

#include <string.h>

typedef const uint8_t *Position;

typedef struct {
    Position begin, end;
} Whole;

enum { IRREGULAR = -1, NO_ROOM = -2 };

static const Span NONE = {-1, -1};

static Span span_of(const Whole *text, Text found) {
    Span span = {found.at - text->begin, found.at - text->begin + (int64_t)found.size};
    return span;
}

static Text text_in(const Whole *text, Span span) {
    Text found = {text->begin + span.begin, (size_t)(span.end - span.begin)};
    return found;
}

/* The name of a member and its colon; names with escapes might be any name. */
static Position pass_name(Position at, Position end, Text *name) {
    int is_ascii, has_escape;
    if (at >= end || *at != '"') return NULL;
    name->at = ++at;
    at = pass_string(at, end, &is_ascii, &has_escape);
    if (at == NULL || has_escape) return NULL;
    name->size = (size_t)(at - 1 - name->at);
    at = skip_space(at, end);
    return at < end && *at == ':' ? skip_space(at + 1, end) : NULL;
}

/* The names of an object's members. Validation says of a resource which of them come twice; around
 * the resources nobody else would, and the last one would count. */
enum { MOST_NAMES = 16 };
typedef struct {
    Text items[MOST_NAMES];
    int count;
} Names;

/* The same, for a name that the object does not have yet. */
static Position pass_new_name(Position at, Position end, Names *names, Text *name) {
    at = pass_name(at, end, name);
    if (at == NULL || names->count == MOST_NAMES) return NULL;
    for (int i = 0; i < names->count; i++)
        if (same(names->items[i], *name)) return NULL;
    names->items[names->count++] = *name;
    return at;
}

/* Behind a comma, or the closing brace. */
static Position pass_comma(Position at, Position end, int *is_last) {
    at = skip_space(at, end);
    if (at >= end || (*at != ',' && *at != '}')) return NULL;
    *is_last = *at == '}';
    return *is_last ? at + 1 : skip_space(at + 1, end);
}

/* A value in which no object has two members of one name. */
static Position pass_distinct(Position at, Position end, int depth) {
    if (at >= end || (*at != '{' && *at != '[')) return pass_value(at, end, depth);
    int is_object = *at == '{';
    uint8_t closing = is_object ? '}' : ']';
    Names names = {.count = 0};
    if (depth >= MAX_DEPTH) return NULL;
    at = skip_space(at + 1, end);
    if (at < end && *at == closing) return at + 1;
    for (;;) {
        Text name;
        if (is_object) at = pass_new_name(at, end, &names, &name);
        if (at == NULL) return NULL;
        at = pass_distinct(at, end, depth + 1);
        if (at == NULL) return NULL;
        at = skip_space(at, end);
        if (at >= end) return NULL;
        if (*at == closing) return at + 1;
        if (*at != ',') return NULL;
        at = skip_space(at + 1, end);
    }
}

/* A string without escapes. */
static Position pass_text(const Whole *text, Position at, Span *span) {
    int is_ascii, has_escape;
    if (at >= text->end || *at != '"' || span->begin >= 0) return NULL;
    Text found = {++at, 0};
    at = pass_string(at, text->end, &is_ascii, &has_escape);
    if (at == NULL || has_escape) return NULL;
    found.size = (size_t)(at - 1 - found.at);
    *span = span_of(text, found);
    return at;
}

static Position pass_ignored_text(const Whole *text, Position at) {
    Span ignored = NONE;
    return pass_text(text, at, &ignored);
}

static Position pass_resource(const Whole *text, Position at, int depth, Row *row) {
    Position end = text->end, start = at;
    int is_last = 0, has_type = 0, has_id = 0;
    if (at >= end || *at != '{' || row->resource.begin >= 0) return NULL;
    at = skip_space(at + 1, end);
    if (at < end && *at == '}') is_last = 1, at++;
    while (!is_last) {
        Text name;
        at = pass_name(at, end, &name);
        if (at == NULL || at >= end) return NULL;
        int *has = is_text(name, "resourceType") ? &has_type : is_text(name, "id") ? &has_id : NULL;
        if (UNLIKELY(has != NULL)) {
            if (*has) return NULL;
            *has = 1;
        }
        if (has != NULL && *at == '"')
            at = pass_text(text, at, has == &has_type ? &row->type : &row->id);
        else
            at = pass_value(at, end, depth + 1);
        if (at == NULL) return NULL;
        at = pass_comma(at, end, &is_last);
        if (at == NULL) return NULL;
    }
    Text whole = {start, (size_t)(at - start)};
    row->resource = span_of(text, whole);
    return at;
}

static Position pass_request(const Whole *text, Position at, Row *row) {
    Position end = text->end;
    int is_last = 0;
    Names names = {.count = 0};
    if (at >= end || *at != '{') return NULL;
    at = skip_space(at + 1, end);
    if (at < end && *at == '}') return at + 1;
    while (!is_last) {
        Text name;
        at = pass_new_name(at, end, &names, &name);
        if (at == NULL) return NULL;
        if (is_text(name, "method")) at = pass_text(text, at, &row->method);
        else if (is_text(name, "url")) at = pass_text(text, at, &row->url);
        else if (is_text(name, "ifNoneExist")) at = pass_text(text, at, &row->if_none_exist);
        else if (begins(name, "if")) at = pass_ignored_text(text, at);
        else at = pass_distinct(at, end, 3);
        if (at == NULL) return NULL;
        at = pass_comma(at, end, &is_last);
        if (at == NULL) return NULL;
    }
    return at;
}

static Position pass_search(const Whole *text, Position at) {
    Position end = text->end;
    int is_last = 0;
    Names names = {.count = 0};
    if (at >= end || *at != '{') return NULL;
    at = skip_space(at + 1, end);
    if (at < end && *at == '}') return at + 1;
    while (!is_last) {
        Text name;
        at = pass_new_name(at, end, &names, &name);
        if (at == NULL) return NULL;
        if (is_text(name, "score") && (at >= end || *at == '"' || *at > '9')) return NULL;
        at = is_text(name, "mode") ? pass_ignored_text(text, at) : pass_distinct(at, end, 3);
        if (at == NULL) return NULL;
        at = pass_comma(at, end, &is_last);
        if (at == NULL) return NULL;
    }
    return at;
}

/* Whether there is a resource that is neither taken apart nor set aside; see bundles/unpacking.py. */
static int is_data(const Whole *text, const Row *row) {
    if (row->resource.begin < 0) return 0;
    if (row->type.begin < 0) return 1;
    Text type = text_in(text, row->type);
    return !is_text(type, "OperationOutcome") && !is_text(type, "Bundle") &&
           !is_text(type, "Parameters");
}

/* Whether an entry asks to be stored as it is; see requests.refusal. */
static int is_stored(const Whole *text, const Row *row) {
    if (!is_data(text, row) || (row->id.begin >= 0 && row->id.begin == row->id.end)) return 0;
    if (row->url.begin >= 0 &&
        memchr(text->begin + row->url.begin, '$', (size_t)(row->url.end - row->url.begin)) != NULL)
        return 0;
    if (row->method.begin < 0) return 1;
    Text method = text_in(text, row->method);
    if (is_text(method, "POST")) return 1;
    if (!is_text(method, "PUT") || row->url.begin < 0 || row->type.begin < 0 || row->id.begin < 0)
        return 0;
    Text url = text_in(text, row->url), type = text_in(text, row->type), id = text_in(text, row->id);
    return url.size == type.size + 1 + id.size && memcmp(url.at, type.at, type.size) == 0 &&
           url.at[type.size] == '/' && memcmp(url.at + type.size + 1, id.at, id.size) == 0;
}

static void clear(Row *row) {
    row->resource = row->type = row->id = row->full_url = row->method = row->url =
        row->if_none_exist = NONE;
    row->position = 0;
}

static Position pass_entry(const Whole *text, Position at, Row *row) {
    Position end = text->end;
    int is_last = 0;
    Names names = {.count = 0};
    clear(row);
    if (at >= end || *at != '{') return NULL;
    at = skip_space(at + 1, end);
    while (!is_last) {
        Text name;
        at = pass_new_name(at, end, &names, &name);
        if (at == NULL) return NULL;
        if (is_text(name, "resource")) {
            at = pass_resource(text, at, 3, row);
        } else if (is_text(name, "fullUrl")) {
            at = pass_text(text, at, &row->full_url);
        } else if (is_text(name, "request")) {
            at = pass_request(text, at, row);
        } else if (is_text(name, "search")) {
            at = pass_search(text, at);
        } else if (is_text(name, "response") || is_text(name, "link")) {
            at = NULL;
        } else {
            at = pass_distinct(at, end, 3);
        }
        if (at == NULL) return NULL;
        at = pass_comma(at, end, &is_last);
        if (at == NULL) return NULL;
    }
    return is_stored(text, row) ? at : NULL;
}

/* The entries of a file that is a bundle; how many, or why they are not given. */
EXPORT int64_t hc_regular_entries(const uint8_t *begin, size_t size, Row *rows, int64_t room) {
    Whole text = {begin, begin + size};
    Position end = text.end, at = skip_space(begin, end);
    Span type = NONE;
    int64_t count = 0;
    int is_last = 0;
    Names names = {.count = 0};
    if (at >= end || *at != '{') return IRREGULAR;
    at = skip_space(at + 1, end);
    while (!is_last) {
        Text name;
        at = pass_new_name(at, end, &names, &name);
        if (at == NULL || at >= end) return IRREGULAR;
        if (is_text(name, "resourceType")) {
            at = pass_text(&text, at, &type);
        } else if (!is_text(name, "entry")) {
            at = pass_distinct(at, end, 1);
        } else {
            if (*at != '[') return IRREGULAR;
            do {
                if (count == room) return NO_ROOM;
                at = pass_entry(&text, skip_space(at + 1, end), &rows[count]);
                if (at == NULL) return IRREGULAR;
                rows[count].position = count;
                count++;
                at = skip_space(at, end);
                if (at >= end) return IRREGULAR;
            } while (*at == ',');
            at = *at == ']' ? at + 1 : NULL;
        }
        if (at == NULL) return IRREGULAR;
        at = pass_comma(at, end, &is_last);
        if (at == NULL) return IRREGULAR;
    }
    if (skip_space(at, end) != end || type.begin < 0) return IRREGULAR;
    return is_text(text_in(&text, type), "Bundle") && count > 0 ? count : IRREGULAR;
}

/* Whether a line without a type of FHIR may be the manifest of an export, or of a client's log. */
static int is_of_export(const Whole *line, const Row *row) {
    if (row->type.begin >= 0) {
        Text type = text_in(line, row->type);
        if (memchr(type.at, '/', type.size) == NULL) return 0;
    }
    Text whole = text_in(line, row->resource);
    return memmem(whole.at, whole.size, "transactionTime", 15) != NULL ||
           memmem(whole.at, whole.size, "\"exportId\"", 10) != NULL;
}

/* Resources that stand on lines of their own, the first of which is line number `position`. */
EXPORT int64_t hc_regular_lines(const uint8_t *begin, size_t size, Row *rows, int64_t room,
                               int64_t position) {
    Position at = begin, end = begin + size;
    int64_t count = 0;
    for (; at < end; position++) {
        const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
        Whole line = {begin, line_end == NULL ? end : line_end};
        at = skip_space(at, line.end);
        if (at < line.end) {
            if (count == room) return NO_ROOM;
            Row *row = &rows[count++];
            clear(row);
            at = pass_resource(&line, at, 0, row);
            if (at == NULL || skip_space(at, line.end) != line.end || !is_data(&line, row))
                return IRREGULAR;
            if (is_of_export(&line, row)) return IRREGULAR;
            row->position = position;
        }
        at = line.end < end ? line.end + 1 : end;
    }
    return count;
}

/* Copies what spans name, one behind the other; `step` is the number of int64 from span to span. */
EXPORT void hc_gather(const uint8_t *text, const int64_t *spans, int64_t step, int64_t count,
                      uint8_t *out) {
    for (int64_t i = 0; i < count; i++, spans += step) {
        if (spans[0] < 0) continue;
        size_t size = (size_t)(spans[1] - spans[0]);
        memcpy(out, text + spans[0], size);
        out += size;
    }
}

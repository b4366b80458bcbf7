/* What the files of the fast path share: the packed table of definitions, one run over one text.
 *
 * The fast path decides in one pass over the bytes whether a resource is certainly valid R4. It knows
 * nothing of FHIR beyond the table that fhir/r4/fast/packing.py hands over, and it may always say that it can't
 * tell: then the thorough path, in Python, decides. Every function here that "accepts" returns
 * nonzero only where the thorough path would find no error and no warning (dom-6 apart).
 */
#ifndef HC_FAST_PATH_H
#define HC_FAST_PATH_H

#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

enum {
    MAX_DEPTH = 128,           /* as fhir/r4/json_text.py */
    MAX_STRING = 1024 * 1024,  /* as fhir/r4/primitives.py; in bytes here, which is stricter */
    MAX_CAPTURES = 8,
    MAX_CHILDREN = 16,         /* nested extensions of one extension that are looked at */
    MAX_STACK = 32,
    SEVERAL_SIGNS = -1,        /* Frame.sign where more than one coding is a vital sign's */
    MOST_CATEGORIES = 1 << 16, /* Frame.vital_categories where they can't be told by counting */
};

/* What members of an Observation and its components are to vital signs; the order is that of
 * packed_rows.ROLES. */
enum Role { NO_ROLE, CODE_ROLE, CATEGORY_ROLE, VALUE_ROLE, ROLE_COUNT };

/* Captures of a Coding, in the order of packing.CAPTURES. */
enum { CODING_SYSTEM = 0, CODING_CODE = 1 };

/* Kinds of values; the order is that of packed_rows.FORMS. */
enum Form {
    STRING, CODE, ID, URI, DATE, DATE_TIME, INSTANT, TIME, OID, UUID, BASE64, XHTML,
    BOOLEAN, INTEGER, UNSIGNED_INT, POSITIVE_INT, DECIMAL,
    OBJECT, RESOURCE,
    FORM_COUNT,
};

/* Types that have rules of their own; the order is that of packed_rows.KINDS. */
enum Kind {
    PLAIN, DOMAIN_RESOURCE, OTHER_RESOURCE, EXTENSION, REFERENCE, META, BUNDLE, BUNDLE_ENTRY, SIBLING,
    ATTACHMENT, CODING, QUANTITY, BOUND_QUANTITY, COMPONENT, OBSERVATION, NEVER,
    KIND_COUNT,
};

/* Forms that stand in for codes that can't be listed; the order is that of packed_rows.SYNTAXES. */
enum Syntax { ANY_SYNTAX, CURRENCY, LANGUAGE, MIME, UCUM, SYNTAX_COUNT };

typedef struct {
    const uint8_t *at;
    size_t size;
} Text;

/* One row of int32 per member, as fhir/r4/fast/packing.py writes it. */
typedef struct {
    int32_t name, form, element, is_list, is_sibling, min, max, shape, capture, codes, is_maximum,
        targets, rules, rule_count, value_bit, is_modifier, needs_absolute, type, role, extensible,
        extensible_systems;
} MemberRow;

/* A JSON member that a type may have. */
typedef struct {
    const uint8_t *name;
    uint16_t name_size;
    uint8_t form;
    uint8_t element;     /* bit of its element in Frame.seen; members of a choice share it */
    uint8_t is_list, is_sibling, is_modifier, needs_absolute;
    int8_t capture;      /* where rules look for its value; -1 for nowhere */
    int8_t value_bit;    /* of an extension's value[x]: which type; else -1 */
    uint8_t role;
    uint8_t is_maximum;  /* the binding is an outer bound: no code at all is well */
    uint16_t min, shape, type;
    uint32_t max;        /* 0 for no limit */
    int32_t codes;       /* set of codes, or -1 for none, or -2 - Syntax */
    int32_t extensible;  /* set of units of an extensible binding, or -1; and of their systems */
    int32_t extensible_systems;
    int32_t targets;     /* set of resource types that a reference may name, -1 for any */
    int32_t rules, rule_count;
} Member;

typedef struct {
    int32_t kind, name, members, member_count, required_low, required_high, id_element, rules,
        rule_count, text_element, contained_element;
} ShapeRow;

/* A type with its members. */
typedef struct {
    uint64_t required;  /* elements that must be there */
    uint64_t id_bit, text_bit, contained_bit;
    Text name;
    const Member *members;
    const uint16_t *buckets;  /* member number + 1 by hash of its name; 0 for none */
    uint32_t mask;
    int32_t member_count, rules, rule_count;
    uint8_t kind;
} Shape;

typedef struct {
    const uint32_t *buckets;  /* string number + 1 by hash; 0 for none */
    uint32_t mask;
} Set;

typedef struct {
    int32_t url, is_modifier, mask_low, mask_high, slots, slot_count, members, member_count;
} ExtensionRow;

typedef struct {
    int32_t url, min, max, mask_low, mask_high;
} SlotRow;

/* A vital sign: what an Observation of it must have and must not, the set of UCUM codes of its value
 * (-1 for none), and its components. */
typedef struct {
    int32_t required_low, required_high, forbidden_low, forbidden_high, units, components,
        component_count;
} VitalSignRow;

typedef struct {
    int32_t sign, units;
} ComponentRow;

/* A code of a code system. */
typedef struct {
    Text text;
    int32_t system;
} Code;

/* The codes of code systems, as codings.c explains them. */
typedef struct {
    Text *systems;
    Code *codes;
    uint32_t *system_buckets, *code_buckets;  /* number + 1 by hash; 0 for none */
    uint32_t system_mask, code_mask;
    int32_t system_count, code_count;
    int32_t vital_category;  /* the code of the category of vital signs */
} Codings;

/* What fhir/r4/fast/packing.py hands over; every pointer is its memory, kept while the table is. */
typedef struct {
    const uint8_t *pool;
    const int32_t *strings;  /* offset and size of each string in the pool */
    const MemberRow *members;
    const ShapeRow *shapes;
    const int32_t *sets;  /* first item and number of items of each set */
    const int32_t *set_items;
    const uint64_t *targets;  /* words per set of resource types */
    const int32_t *rules;     /* where each rule begins in the code */
    const int32_t *code;
    const ExtensionRow *extensions;
    const SlotRow *slots;
    const uint64_t *extension_types;  /* words per extension: on which types it may stand */
    const int32_t *extension_members;
    const uint8_t *code_systems;  /* see codings.c */
    const VitalSignRow *vital_signs;
    const ComponentRow *vital_components;
    int32_t string_count, member_count, shape_count, set_count, target_words, extension_count,
        type_words, extension_set, resource_set;
    int32_t meta_forbidden_low, meta_forbidden_high;
    int32_t code_systems_size, vital_sign_count, patient_targets;
} Packed;

typedef struct {
    Packed packed;
    Text *strings;
    Member *members;
    Shape *shapes;
    Set *sets;
    uint16_t *member_buckets;
    uint32_t *set_buckets;
    Codings codings;
    int32_t *shape_of_string;      /* resource type by string number, -1 for none */
    int32_t *extension_of_string;  /* extension by string number, -1 for none */
} Table;

/* One object of the text while it is read. */
typedef struct Frame {
    const Shape *shape;
    const Member *member;  /* that holds it; NULL for a resource */
    struct Frame *parent;
    uint64_t seen;
    uint64_t siblings;
    uint64_t meta_seen;  /* of a resource: what its meta has */
    Text captures[MAX_CAPTURES];
    int32_t value_bit;    /* of an extension: the type of its value, -1 for none */
    int32_t child_count;  /* of an extension: nested ones */
    int32_t resource;     /* number of the resource in Run.resources */
    int32_t sign;         /* of an Observation or component: 1 + number of its code, 0 for none */
    int32_t vital_categories;  /* of an Observation: how often its category is vital-signs */
    Text quantity;        /* of an Observation or component: the UCUM code of its value */
    struct {
        Text url;
        int32_t value_bit;
    } children[MAX_CHILDREN];
} Frame;

/* A resource: the root, a bundle's entry, a contained one. */
typedef struct {
    Text id;
    const Shape *shape;
    int32_t container;  /* number of the resource that contains it; -1 for none */
    int32_t entry;      /* number of the bundle's entry that it is in; -1 for none */
    uint8_t has_reference, has_contained, has_text, has_bad_meta;
} Resource;

/* A reference to something at hand: #id or urn:. */
typedef struct {
    Text text;
    int32_t targets;
    int32_t resource;
    uint8_t is_used;
} Reference;

typedef struct {
    Text full_url, url, method, mode;
    int32_t resource;  /* -1 for none */
    uint8_t has_search, has_request, has_response;
} Entry;

/* Pairs of begin and end in the text, or of entry and type, for the caller. */
typedef struct {
    int32_t first, second;
} Pair;

#define LIST(T) struct { T *items; int32_t count, room; }

/* The state of one run; kept from text to text for its memory. Used by one thread at a time. */
typedef struct {
    const Table *table;
    const uint8_t *begin, *end;
    int32_t depth;
    int32_t is_out_of_memory;
    int32_t is_accepted;  /* whether hc_accept has accepted the text that was read last */
    int32_t is_envelope;  /* resources in entries are noted, and not looked into */
    LIST(Resource) resources;
    LIST(Reference) references;
    LIST(Entry) entries;
    LIST(Pair) narratives;  /* strings that Narrative.div holds, with their quotes */
    LIST(Pair) bare;        /* resources without narrative: entry or -1, shape */
    LIST(int32_t) index;    /* a hash table over entries */
    LIST(uint8_t *) scratch;  /* strings without their escapes */
} Run;

/* Makes room for one more item; gives 0 where there is no memory. */
int grow(Run *run, void **items, int32_t *room, size_t size);
#define PUSH(run, list) \
    ((list).count < (list).room || \
             grow(run, (void **)&(list).items, &(list).room, sizeof *(list).items) \
         ? &(list).items[(list).count++] : NULL)

/* scan.c: JSON text. Each takes where it begins and returns where it ends, NULL if undecided. */
typedef struct {
    Text text;        /* without quotes, escapes resolved */
    int is_ascii;
} String;
const uint8_t *skip_space(const uint8_t *at, const uint8_t *end);
const uint8_t *scan_string(Run *run, const uint8_t *at, String *found);
const uint8_t *scan_number(const uint8_t *at, const uint8_t *end, int *is_integer);
const uint8_t *skip_value(const uint8_t *at, const uint8_t *end);
/* Behind the opening quote to behind the closing one; and behind any value, all of whose syntax has
 * been looked at. `depth` is how many objects and arrays it is in. */
const uint8_t *pass_string(const uint8_t *at, const uint8_t *end, int *is_ascii, int *has_escape);
const uint8_t *pass_value(const uint8_t *at, const uint8_t *end, int depth);

/* scan.c: looks into JSON that has been accepted. */
Text member_in(Text object, const char *name);
int has_member(Text object, Text name);
int next_item(Text array, const uint8_t **position, Text *item);
Text plain_string(Text value, int *is_certain);

/* formats.c */
int has_form(enum Form form, const String *value);
int has_syntax(enum Syntax syntax, Text text);
int is_integer_in(enum Form form, Text text);
int is_absolute_url(Text text);
int is_id(Text text);
int is_urn_uuid(Text text);
int is_computable_name(Text text);
int is_number_above(Text number, int or_zero);
int dates_in_order(Text start, Text end);

/* table.c */
uint32_t hash_of(Text text);
int32_t string_in(const Table *table, const Set *set, Text text); /* its number, or -1 */
const Member *find_member(const Shape *shape, Text name);
static inline int same(Text a, Text b) {
    return a.size == b.size && __builtin_memcmp(a.at, b.at, a.size) == 0;
}
static inline int is_text(Text text, const char *word) {
    size_t size = __builtin_strlen(word);
    return text.size == size && __builtin_memcmp(text.at, word, size) == 0;
}
static inline int begins(Text text, const char *word) {
    size_t size = __builtin_strlen(word);
    return text.size >= size && __builtin_memcmp(text.at, word, size) == 0;
}

/* rules.c */
int rules_hold(const Table *table, const Frame *frame, int32_t first, int32_t count);
int concept_is_bound(const Table *table, const Member *member, Text concept);
int has_pair(const Table *table, int32_t set, Text system, Text code);

/* elements.c: what an extension, a reference, a resource's meta must hold beside its members. */
int extension_is_valid(Run *run, Frame *frame);
int reference_is_valid(Run *run, Frame *frame);
int meta_is_valid(Run *run, Frame *frame);
int attachment_is_valid(const Frame *frame);
int entry_is_noted(Run *run, const Frame *frame);

/* codings.c, vital_signs.c */
int codings_fill(Codings *codings, Text text);
void codings_free(Codings *codings);
int unit_fits(const Table *table, const Frame *frame);
int coding_is_known(const Table *table, const Frame *frame);
void note_quantity(const Frame *frame);
void note_component(const Frame *frame);
int vital_sign_is_valid(Run *run, const Frame *frame);

/* bundle.c, contained.c */
int contained_are_valid(Run *run, int32_t resource);
int bundle_is_valid(Run *run, const Frame *bundle);
int may_refer(const Table *table, int32_t targets, const Shape *shape);

/* envelope.c: passes a resource in an entry; notes who it is, and where its URNs lead. */
const uint8_t *note_resource(Run *run, const uint8_t *at, int32_t number);

/* walk.c */
int accept(Run *run, const uint8_t *text, size_t size);
const Shape *stated_type(Run *run, const uint8_t *object, Text *type);

#endif

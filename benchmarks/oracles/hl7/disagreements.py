"""Who is right by R4's text where our validator and HL7's engine disagree, by reason.

Belongs here: one entry for each class of disagreement, with who is right and why: "both" where R4's
text leaves it open. `compare.py` counts them.
"""

# Our rules that reject what the engine accepts.
OURS: dict[str, tuple[str, str]] = {
    "ele-1": (
        "ours",
        "An id alone is no content: ele-1 asks for a value or more children than ids. The engine"
        " counts the id.",
    ),
    "element-id": (
        "ours",
        "Element.id may be any string that does not contain spaces (R4, Element.id): one that does"
        " is outside of what the type holds; the engine does not look.",
    ),
    "empty-array": (
        "ours",
        "JSON's arrays are never empty (R4, json); the engine misses those of primitives.",
    ),
    "reference-format": (
        "ours",
        "What follows urn:uuid: is a UUID (RFC 4122), and no resource has another such URN; the"
        " engine does not look at URNs outside of a Bundle.",
    ),
    "reference-target": (
        "ours",
        "`type`, or the type in a search URL, is one that the element may not refer to: the target"
        " must conform to one of targetProfile (R4, ElementDefinition.type.targetProfile). The"
        " engine looks at targets that resolve.",
    ),
    "reference-type": (
        "ours",
        "`type` and `reference` SHALL be consistent (R4, Reference.type); the engine does not"
        " look.",
    ),
    "primitive-format": (
        "ours",
        "White space alone fits the pattern of no type but string and markdown (R4, datatypes); the"
        " engine warns of it and then does not look at the pattern.",
    ),
    "required-binding": (
        "ours",
        "The coding is of another system than the value set that bounds the binding (maxValueSet).",
    ),
    "code-system-property": (
        "ours",
        "A property's value has the type that the code system declares for it (R4, property.type)."
        " The engine looks where a policy asks it to.",
    ),
    "search-parameter": (
        "ours",
        "It must be consistent with the parameter that it is derived from (R4, derivedFrom).",
    ),
    "fhirpath-syntax": (
        "ours",
        "A constraint's expression can't be read; in a snapshot that a differential does not repeat"
        " the engine does not look.",
    ),
    "bundle-request": (
        "ours",
        "A transaction that changes a resource twice SHALL fail (R4, http); the engine does not"
        " look.",
    ),
    "resource-type": (
        "ours",
        "An abstract type has no instances (DomainResource); the engine takes one.",
    ),
    "extension-context": (
        "ours",
        "An extension of R4's on an element that its definition's context does not name.",
    ),
    "json-syntax": ("ours", "RFC 8259; the engine's reader is laxer."),
}

# Message ids of the engine that reject what ours accepts.
THEIRS: dict[str, tuple[str, str]] = {
    "TYPE_SPECIFIC_CHECKS_CANONICAL_ABSOLUTE": (
        "HL7's",
        "A canonical is absolute. HL7 publishes 63 examples that name a definition as a reference"
        " would (`Library/a`), so these only warn; any other relative one is an error.",
    ),
    "Type_Specific_Checks_DT_Identifier_System": (
        "both",
        "R4's text leaves a relative Identifier.system open, and hospitals send such: a warning.",
    ),
    "Type_Specific_Checks_DT_UUID_Valid": (
        "both",
        "The type uuid has small letters, but a uri's pattern allows capitals (RFC 4122 too reads"
        " them), and HL7 publishes one: a warning.",
    ),
    "Type_Specific_Checks_DT_OID_Valid": (
        "ours",
        "The pattern of oid allows OIDs of few parts, such as 1.2.3; the engine wants more.",
    ),
    "TYPE_SPECIFIC_CHECKS_DT_IDENTIFIER_IETF_SYSTEM_VALUE": (
        "ours",
        "R4 says that a URI as value has the system urn:ietf:rfc:3986, not the reverse; HL7"
        " publishes an Organization so.",
    ),
    "TYPE_SPECIFIC_CHECKS_DT_ATT_B64_DECODE_FAIL": (
        "ours",
        "R4's pattern of base64Binary allows white space between groups; the engine's decoder"
        " refuses any.",
    ),
    "TYPE_SPECIFIC_CHECKS_DT_ATT_HASH_MISMATCH": (
        "HL7's",
        "A SHA-1 in hexadecimal, as HL7 publishes one, only warns.",
    ),
    "Terminology_TX_Code_ValueSet_MISSING": (
        "ours",
        "A code that is absent with an extension that says why: extensions may stand in place of"
        " any value (R4, extensibility).",
    ),
    "Terminology_TX_System_Relative": (
        "both",
        "R4's text leaves a relative Coding.system open; the engine itself only warns of most.",
    ),
    "Terminology_TX_NoValid_16": (
        "HL7's",
        "The value of an extension of R4's is outside its required value set: ours does not look at"
        " bindings of extensions.",
    ),
    "BUNDLE_BUNDLE_ENTRY_FULLURL_REQUIRED": (
        "ours",
        "What a search says about itself is a resource that nobody can ask for again: results may"
        " be not identified (R4, Bundle.entry.fullUrl).",
    ),
    "BUNDLE_BUNDLE_ENTRY_NOTFOUND_APPARENT": (
        "ours",
        "Outside documents and messages a reference may name a resource elsewhere; that another"
        " entry has its type and id proves nothing (R4, resolving references in bundles).",
    ),
    "BUNDLE_BUNDLE_ENTRY_NOTFOUND_CANNOT": (
        "ours",
        "As above: from a fullUrl without a base, a relative reference leads out of the bundle.",
    ),
    "IG_HL7_STANDARDS_STATUS_REQUIRED": ("ours", "A policy of HL7's for its own guides, not R4's."),
    "IG_HL7_WG_REQUIRED": ("ours", "A policy of HL7's for its own guides, not R4's."),
    "VALIDATION_HL7_PUBLISHER_MISMATCH": ("ours", "A policy of HL7's for its own definitions."),
    "MEASURE_M_CRITERIA_CQL_NO_LIB": (
        "HL7's",
        "An expression in CQL needs its library (R4, Measure); ours does not look.",
    ),
    "SM_SOURCE_CONTEXT_UNKNOWN": ("HL7's", "Ours does not follow the variables of a StructureMap."),
    "SM_TARGET_CONTEXT_UNKNOWN": ("HL7's", "Ours does not follow the variables of a StructureMap."),
    "SM_TARGET_PATH_INVALID": ("HL7's", "Ours does not follow the variables of a StructureMap."),
    "ED_SEARCH_EXPRESSION_ERROR": (
        "HL7's",
        "The expression starts from another type than the base; HL7 publishes one that finds an"
        " extension so: a warning.",
    ),
    "Validation_VAL_Profile_WrongType": (
        "HL7's",
        "meta.profile names a profile of R4's for another type; held against by whoever loads"
        " profiles.",
    ),
    "VALUESET_REFERENCE_INVALID_TYPE_NO_VERSION_1": (
        "HL7's",
        "A system is a URI without `|version`; HL7 publishes three value sets with one.",
    ),
    "SD_TYPE_NOT_LOCAL": ("ours", "R4 itself publishes logical models of such types."),
    "Reference_REF_CantMatchType": (
        "HL7's",
        "Four elements where HL7's examples refer to a type that the element doesn't allow warn.",
    ),
    "SD_TYPE_NOT_DERIVED": ("HL7's", "A structure of a type that exists constrains that type."),
    "http://hl7.org/fhir/StructureDefinition/Range#rng-2": (
        "ours",
        "The engine fails (a null unit) where only one end of a range has one.",
    ),
    "Reference_REF_BadTargetType": (
        "HL7's",
        "Four elements where HL7's examples refer to a type that the element doesn't allow warn.",
    ),
    "VALUESET_INCLUDE_SYSTEM_ABSOLUTE_FRAG": (
        "HL7's",
        "A system is absolute; HL7 publishes a value set that names a contained one: a warning.",
    ),
    "SD_VALUE_TYPE_IILEGAL": (
        "HL7's",
        "A fixed value or pattern has a type of its element's; ours does not look.",
    ),
    "SD_TABLE_PROHIBITED": ("HL7's", "A specialization slices nothing; ours does not look."),
    "SD_NO_CONTEXT_WHEN_NOT_EXTENSION": ("HL7's", "Extensions alone have contexts."),
    "SD_ED_TYPE_PROFILE_WRONG": ("HL7's", "A type's profile is one of that type."),
    "Terminology_TX_Code_ValueSet": (
        "HL7's",
        "As above: ours does not look at bindings of extensions.",
    ),
    "TYPE_SPECIFIC_CHECKS_DT_URL_INTERNAL": (
        "HL7's",
        "A canonical that is a fragment names a contained resource; ours does not look it up.",
    ),
    "Bundle_BUNDLE_Entry_NoFullUrl": (
        "ours",
        "Entries of a transaction may lack a fullUrl (R4, Bundle.entry.fullUrl).",
    ),
    "SD_CONSTRAINED_KIND_NO_MATCH": ("HL7's", "A profile has the kind of its base."),
}

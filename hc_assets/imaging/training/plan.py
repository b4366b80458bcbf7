"""Which frames make a training set, in which split, with which labels: asked of the warehouse.

Belongs here: the questions, in SQL, so that DuckDB keeps to its memory limit however many frames
there are. Nothing is read of the pixels.

Groups and splits come from all arrays, chosen or not, so another filter moves no patient. What
links two PatientIDs is an array with the same pixels, an instance or a study that both have: those
are one patient under two names, or pixels that a model must not see twice. Where there is no
PatientID, the study stands for the patient, else the series, else the file.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import duckdb
import pyarrow as pa

from hc_assets.imaging.headers.defined_terms import BODY_PARTS, MODALITIES
from hc_assets.imaging.training import fhir_labels, labels
from hc_assets.imaging.training.groups import groups_of
from hc_assets.imaging.training.selection import Selection

_ROWS = 10_000
# Hexadecimal digits of a hash that place a group on the line from 0 to 1: 52 bits.
_DIGITS = 13

# Of the arrays, all that is read here: their pixels are the larger part by far.
ARRAY_COLUMNS = (
    "batch",
    "source_file",
    "file_sha256",
    "sop_instance_uid",
    "frame",
    "modality",
    "pipeline",
    "parameters",
    "source_to_array",
    "content_sha256",
)

_FRAMES = """
CREATE TEMP TABLE frames AS
SELECT
    a.batch, a.source_file, a.file_sha256, a.sop_instance_uid, a.frame,
    CASE WHEN list_contains($defined, a.modality) THEN a.modality END AS modality,
    a.pipeline, a.parameters, a.source_to_array, a.content_sha256,
    m.overall_quality, upper(i.body_part) AS body_part,
    coalesce(m.has_burned_in_text, i.burned_in_annotation = 'YES') AS is_burned_in,
    i.study_instance_uid, i.series_instance_uid, i.accession_number,
    trim(i.patient_id) AS patient_id,
    coalesce(
        'patient ' || nullif(trim(i.patient_id), ''),
        'study ' || nullif(i.study_instance_uid, ''),
        'series ' || nullif(i.series_instance_uid, ''),
        'file ' || a.file_sha256
    ) AS patient
FROM imaging.preprocessed_arrays AS a
LEFT JOIN imaging.quality_metrics AS m
    ON m.batch = a.batch AND m.source_file = a.source_file AND m.frame = a.frame
LEFT JOIN imaging.dicom_index AS i ON i.batch = a.batch AND i.source_file = a.source_file
WHERE list_contains($batches, a.batch)
"""

_LINKS = " UNION ALL ".join(
    f"""
    SELECT DISTINCT shared.first, frames.patient
    FROM frames JOIN (
        SELECT {column} AS value, min(patient) AS first FROM frames
        WHERE {column} IS NOT NULL GROUP BY {column} HAVING min(patient) <> max(patient)
    ) AS shared ON frames.{column} = shared.value
    WHERE frames.patient <> shared.first
    """  # noqa: S608 - the columns are named here
    for column in ("content_sha256", "sop_instance_uid", "study_instance_uid")
)

_PATIENTS = """
CREATE TEMP TABLE patients AS
SELECT
    patient,
    substr(sha256($salt || '|' || patient), 1, 32) AS patient_pseudonym,
    substr(sha256($seed || '|' || coalesce(groups.first, patient)), 1, $digits) AS place
FROM (SELECT DISTINCT patient FROM frames) LEFT JOIN groups ON groups.member = patient
"""

_PLAN = """
CREATE TEMP TABLE plan AS
WITH judged AS (
    SELECT
        frames.*,
        patients.patient_pseudonym,
        {split} AS split,
        substr(sha256($salt || '|' || file_sha256 || '|' || frames.frame), 1, 32) AS sample_id,
        {labels} AS labels,
        CASE WHEN list_contains($defined_body_parts, body_part) THEN body_part END
            AS defined_body_part,
        CASE
            WHEN len($modalities) > 0 AND NOT coalesce(list_contains($modalities, modality), false)
                THEN 'another modality'
            WHEN len($body_parts) > 0
                AND NOT coalesce(list_contains($body_parts, body_part), false)
                THEN 'another body part'
            WHEN overall_quality IS NULL THEN 'no quality score'
            WHEN overall_quality < $quality_threshold THEN 'quality below the threshold'
            WHEN is_burned_in AND NOT $with_burned_in THEN 'burned-in annotation'
            WHEN $is_labelled AND {labels} IS NULL THEN 'no label'
        END AS reason
    FROM frames JOIN patients USING (patient) {join}
),
single AS (
    SELECT * EXCLUDE (reason), CASE
        WHEN reason IS NULL AND row_number() OVER (
            PARTITION BY reason IS NULL, content_sha256 ORDER BY sample_id
        ) > 1 THEN 'the same pixels as another'
        ELSE reason
    END AS reason
    FROM judged
)
SELECT * EXCLUDE (reason), CASE
    WHEN reason IS NULL AND row_number() OVER (
        PARTITION BY reason IS NULL ORDER BY sample_id
    ) > coalesce($maximum, 9223372036854775807) THEN 'beyond the maximum'
    ELSE reason
END AS reason
FROM single
"""

# A line for a frame goes before one for all frames of its key
_LABELS = """
    LEFT JOIN label_lists AS exact ON exact.key = frames.{column} AND exact.frame = frames.frame
    LEFT JOIN label_lists AS general ON general.key = frames.{column} AND general.frame IS NULL
"""

# A name that two Patients have says nothing of either
_PATIENT_LABELS = """
    CREATE TEMP TABLE label_lists AS SELECT key, NULL::INTEGER AS frame,
        coalesce(list_sort(list(DISTINCT label) FILTER (label IS NOT NULL)), []) AS labels
    FROM fhir_names LEFT JOIN (SELECT DISTINCT id, label FROM fhir_labels) USING (id)
    GROUP BY key HAVING min(id) = max(id)
"""
# A study that nothing refers to is not in it: that nobody reported a finding is no finding
_STUDY_LABELS = """
    CREATE TEMP TABLE label_lists AS
    WITH RECURSIVE reach (id, uid) AS (
        SELECT source, coalesce(uid, target) FROM fhir_subjects
            LEFT JOIN fhir_studies ON name = target
        UNION
        SELECT source, uid FROM fhir_subjects JOIN reach ON target = id
    )
    SELECT uid AS key, NULL::INTEGER AS frame,
        coalesce(list_sort(list(DISTINCT label) FILTER (label IS NOT NULL)), []) AS labels
    FROM reach LEFT JOIN (SELECT DISTINCT id, label FROM fhir_labels) USING (id)
    GROUP BY uid
"""

_OF_BATCH = """
    SELECT source_file, frame, sop_instance_uid, sample_id, split, patient_pseudonym, modality,
        defined_body_part, overall_quality, labels, pipeline, parameters, source_to_array,
        content_sha256
    FROM plan WHERE reason IS NULL AND batch = $batch ORDER BY source_file, frame
"""
_OF_BATCH_SCHEMA = pa.schema(
    [
        ("source_file", pa.string()),
        ("frame", pa.int32()),
        ("sop_instance_uid", pa.string()),
        ("sample_id", pa.string()),
        ("split", pa.string()),
        ("patient_pseudonym", pa.string()),
        ("modality", pa.string()),
        ("body_part", pa.string()),
        ("overall_quality", pa.float64()),
        ("labels", pa.list_(pa.string())),
        ("pipeline", pa.string()),
        ("parameters", pa.string()),
        ("source_to_array", pa.list_(pa.float64(), 6)),
        ("content_sha256", pa.string()),
    ]
)


class Plan:
    """A training set as it is to be: temporary tables in a connection to the warehouse.

    Attributes:
        linked_patients: patients that share pixels, an instance or a study with another.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        selection: Selection,
        batches: Sequence[str],
    ) -> None:
        """Make the plan.

        Args:
            connection: to the warehouse; may be read-only.
            selection: what is asked for.
            batches: whose arrays are looked at.

        Raises:
            labels.LabelsError: a file of labels is not as it must be.
        """
        self._connection = connection
        connection.execute(_FRAMES, {"batches": list(batches), "defined": sorted(MODALITIES)})
        groups = groups_of(_streamed(connection, _LINKS))
        self.linked_patients = len(groups)
        self._keep("groups", {"member": pa.string(), "first": pa.string()}, groups.items())
        connection.execute(
            _PATIENTS,
            {"salt": selection.salt, "seed": selection.split_seed, "digits": _DIGITS},
        )
        column = self._keep_labels(selection)
        body_parts = [each.upper() for each in selection.body_parts]
        connection.execute(
            _PLAN.format(
                split=_split_of(selection),
                labels="coalesce(exact.labels, general.labels)" if column else "NULL::VARCHAR[]",
                join=_LABELS.format(column=column) if column else "",
            ),
            {
                "salt": selection.salt,
                "modalities": [each.upper() for each in selection.modalities],
                "body_parts": body_parts,
                # A header's own word leaves only where DICOM or who asks for the set defines it
                "defined_body_parts": sorted({*BODY_PARTS, *body_parts}),
                "quality_threshold": selection.quality_threshold,
                "with_burned_in": selection.with_burned_in,
                "is_labelled": selection.is_labelled,
                "maximum": selection.maximum,
            },
        )

    def of_batch(self, batch: str) -> pa.Table:
        """Rows of the samples of one batch, by file and frame."""
        rows = self._connection.execute(_OF_BATCH, {"batch": batch}).fetchall()
        columns = list(zip(*rows, strict=True)) or [()] * len(_OF_BATCH_SCHEMA)
        return pa.Table.from_arrays(
            [
                pa.array(values, field.type)
                for values, field in zip(columns, _OF_BATCH_SCHEMA, strict=True)
            ],
            schema=_OF_BATCH_SCHEMA,
        )

    def left_out(self) -> dict[str, int]:
        """How many arrays are left out, by reason, in alphabetical order."""
        return dict(
            self._connection.execute(
                "SELECT reason, count(*) FROM plan WHERE reason IS NOT NULL GROUP BY ALL ORDER BY 1"
            ).fetchall()
        )

    def samples_and_patients(self) -> dict[str, tuple[int, int]]:
        """How many samples and patients each split has; splits without are missing."""
        rows = self._connection.execute(
            "SELECT split, count(*), count(DISTINCT patient) FROM plan WHERE reason IS NULL"
            " GROUP BY split"
        ).fetchall()
        return {split: (samples, patients) for split, samples, patients in rows}

    def label_counts(self) -> dict[str, dict[str, int]]:
        """How many samples have each label, by split; "" stands for those with none."""
        rows = self._connection.execute(
            "SELECT split, label, count(*) FROM ("
            "SELECT split, unnest(CASE WHEN len(labels) = 0 THEN [''] ELSE labels END) AS label"
            " FROM plan WHERE reason IS NULL AND labels IS NOT NULL) GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        counts: dict[str, dict[str, int]] = {}
        for split, label, count in rows:
            counts.setdefault(split, {})[label] = count
        return counts

    def _keep_labels(self, selection: Selection) -> str:
        """Make the table of labels by key; give the column that the key is of, "" for no labels."""
        connection = self._connection
        if selection.labels_file:
            found = labels.read_csv(selection.labels_file)
            self._keep(
                "label_rows",
                {"key": pa.string(), "frame": pa.int32(), "label": pa.string()},
                ((row.key, row.frame, row.label) for row in found),
            )
            connection.execute(
                "CREATE TEMP TABLE label_lists AS SELECT key, frame, coalesce("
                "list_sort(list(DISTINCT label) FILTER (label IS NOT NULL)), []) AS labels"
                " FROM label_rows GROUP BY key, frame"
            )
            return labels.key_column(selection.labels_file)
        if not selection.label_codes:
            return ""
        is_there = fhir_labels.has_fhir(connection)
        text = pa.string()
        if selection.label_scope == "study":
            named = fhir_labels.study_names(connection) if is_there else ()
            subjects = fhir_labels.subjects_of_reports(connection) if is_there else ()
            carrying = fhir_labels.coded_resources(connection, selection.label_codes)
            self._keep("fhir_studies", {"name": text, "uid": text}, named)
            self._keep("fhir_subjects", {"source": text, "target": text}, subjects)
            self._keep("fhir_labels", {"id": text, "label": text}, carrying if is_there else ())
            connection.execute(_STUDY_LABELS)
            return "study_instance_uid"
        names = fhir_labels.patient_names(connection, selection.patient_system) if is_there else ()
        coded = fhir_labels.coded_patients(connection, selection.label_codes) if is_there else ()
        self._keep("fhir_names", {"key": text, "id": text}, names)
        self._keep("fhir_labels", {"id": text, "label": text}, coded)
        connection.execute(_PATIENT_LABELS)
        return "patient_id"

    def _keep(
        self, name: str, columns: dict[str, pa.DataType], rows: Iterable[tuple[object, ...]]
    ) -> None:
        """Make a temporary table of rows, a bounded number of them at a time."""
        schema = pa.schema(list(columns.items()))
        types = {pa.string(): "VARCHAR", pa.int32(): "INTEGER"}
        declared = ", ".join(f"{column} {types[type_]}" for column, type_ in columns.items())
        self._connection.execute(f"CREATE TEMP TABLE {name} ({declared})")
        source = iter(rows)
        while group := list(islice(source, _ROWS)):
            arrays = [
                pa.array(values, field.type)
                for values, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            self._connection.register("waiting", pa.Table.from_arrays(arrays, schema=schema))
            self._connection.execute(f"INSERT INTO {name} SELECT * FROM waiting")  # noqa: S608
            self._connection.unregister("waiting")


def _split_of(selection: Selection) -> str:
    """SQL that names the split by the place of the group; the last takes what rounding leaves."""
    cases, upto = [], 0.0
    for name, share in list(selection.splits.items())[:-1]:
        upto += share
        limit = f"{round(upto * 16**_DIGITS):0{_DIGITS}x}"
        cases.append(f"WHEN place < '{limit}' THEN '{name}'")
    last = list(selection.splits)[-1]
    return f"CASE {' '.join(cases)} ELSE '{last}' END" if cases else f"'{last}'"


def _streamed(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[tuple[str, str]]:
    rows = connection.execute(sql)
    while batch := rows.fetchmany(_ROWS):
        yield from batch

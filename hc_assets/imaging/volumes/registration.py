"""Rigid registration: how a volume is to be turned and moved to lie on another of the same patient.

Belongs here: finding the transform and judging it. Resampling by it is in `alignment.py`.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from hc_assets.imaging.volumes.geometry import Matrix
from hc_assets.imaging.volumes.resampling import isotropic
from hc_assets.imaging.volumes.volume import Volume, to_image

_WORKING_MM = 2.0
"""Spacing at which the two are compared: mutual information is smooth enough to place a minimum to
a small part of that, and the cost no longer depends on how finely a volume was sent."""
_BINS = 32
_SAMPLES = 100_000
_SEED = 1
_SHRINK = (4, 2, 1)
_SMOOTHING_MM = (4.0, 2.0, 0.0)
_LARGEST_TURN_DEG = 30.0
_LARGEST_MOVE_MM = 60.0
"""Beyond which a transform between two volumes of one frame of reference is no movement of a
patient who lies in a coil, but a failure."""
_LEAST_SIDE = 8


@dataclass(frozen=True)
class Registration:
    """How a point of the fixed volume is found in the moving one.

    Attributes:
        matrix: 4 x 4, from LPS millimetres of the fixed to those of the moving volume; the identity
            where it was not found.
        verdict: registered; not_improved where no transform is better than the start; no_overlap
            where the two have too little of the patient in common;
            implausible where it is larger than a patient can have moved; too_small where a volume
            has too few voxels to be compared.
        rotation_deg: angle of the rotation.
        translation_mm: by how much the centre of the fixed volume is moved.
        information_before: mutual information at the start, nats; None where not compared.
        information_after: mutual information at the end, nats; None where not compared.
    """

    matrix: Matrix
    verdict: str
    rotation_deg: float
    translation_mm: float
    information_before: float | None
    information_after: float | None


def register(fixed: Volume, moving: Volume, *, is_same_frame: bool) -> Registration:
    """Find the rigid transform that makes two volumes say most about one another.

    Mattes mutual information (Mattes and others, IEEE TMI 2003, doi:10.1109/TMI.2003.809072) needs
    no likeness of contrast, so it serves T1 on T2. Regular step gradient descent over three
    resolutions; samples are drawn with a fixed seed and in one thread, so the same input gives the
    same transform.

    Args:
        fixed: the volume that stays.
        moving: the volume that is to lie on it.
        is_same_frame: whether both are in one frame of reference: then coordinates are the start,
            else the centres of both.

    Returns:
        The transform with its verdict.
    """
    images = [to_image(isotropic(each, _WORKING_MM)) for each in (fixed, moving)]
    centre = np.array(fixed.affine @ [*((np.array(fixed.voxels.shape[::-1]) - 1) / 2), 1])[:3]
    if any(min(image.GetSize()) < _LEAST_SIDE for image in images):
        return Registration(np.eye(4), "too_small", 0.0, 0.0, None, None)
    start = sitk.Euler3DTransform()
    start.SetCenter(centre.tolist())
    if not is_same_frame:
        start = sitk.Euler3DTransform(
            sitk.CenteredTransformInitializer(
                images[0],
                images[1],
                start,
                sitk.CenteredTransformInitializerFilter.GEOMETRY,
            )
        )
    try:
        before = _information(images, start)
        found = _search(images, start)
        after = _information(images, found)
    except RuntimeError:  # all that ITK raises; here, that no sample lies in both
        return Registration(np.eye(4), "no_overlap", 0.0, 0.0, None, None)
    matrix = _matrix(found)
    turn, move = size_of(matrix, centre)
    verdict = "registered"
    if after <= before:
        verdict = "not_improved"
    elif is_same_frame and (turn > _LARGEST_TURN_DEG or move > _LARGEST_MOVE_MM):
        verdict = "implausible"
    if verdict != "registered":
        matrix = _matrix(start)
        turn, move = size_of(matrix, centre)
    return Registration(matrix, verdict, turn, move, before, after)


def _search(images: list[sitk.Image], start: sitk.Transform) -> sitk.Transform:
    method = _method(images[0])
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0,
        minStep=1e-3,
        numberOfIterations=200,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-7,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(_SHRINK)
    method.SetSmoothingSigmasPerLevel(_SMOOTHING_MM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    found: sitk.Transform = method.Execute(*images)
    return found


def size_of(matrix: Matrix, centre: Matrix) -> tuple[float, float]:
    """Angle of a rigid transform in degrees, and how far it moves a point, mm."""
    cosine = (np.trace(matrix[:3, :3]) - 1) / 2
    moved = matrix @ [*centre, 1]
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return angle, float(np.linalg.norm(moved[:3] - centre))


def transform_of(matrix: Matrix) -> sitk.Transform:
    """Return a matrix as SimpleITK resamples by it."""
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(matrix[:3, 3].tolist())
    return transform


def _method(fixed: sitk.Image) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    share = min(1.0, _SAMPLES / fixed.GetNumberOfPixels())
    method.SetMetricSamplingPercentage(share, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    # Sums of floats depend on how threads divide them
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    return method


def _information(images: list[sitk.Image], transform: sitk.Transform) -> float:
    method = _method(images[0])
    method.SetInitialTransform(transform)
    return -float(method.MetricEvaluate(*images))


def _matrix(transform: sitk.Transform) -> Matrix:
    """The 4 x 4 matrix of a rigid transform, whatever its centre."""
    matrix = np.eye(4)
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    for axis in range(3):
        unit = [0.0, 0.0, 0.0]
        unit[axis] = 1.0
        matrix[:3, axis] = np.array(transform.TransformPoint(unit)) - origin
    matrix[:3, 3] = origin
    return matrix

"""The colours of each face: skin after the Monk scale, hair, eyes, lips, surroundings."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets.toyfaces._parameters import MONK_SCALE, Faces

Palette = list[dict[str, Any]]

LUMA = (77, 150, 29)
"""Weights of red, green and blue in 1/256 (ITU-R BT.601)."""

_HAIR = np.array(
    [(22, 18, 18), (48, 32, 24), (92, 62, 40), (150, 108, 62), (208, 172, 112), (132, 60, 34)]
)
_GREY_HAIR = np.array([(120, 120, 122), (200, 200, 204)])
_IRIS = np.array([(42, 26, 18), (74, 48, 28), (70, 84, 62), (92, 120, 140)])


def monk_rgb() -> NDArray[np.int64]:
    """Return the published skin colours as integers, shape (10, 3)."""
    return np.array([[int(code[k : k + 2], 16) for k in (1, 3, 5)] for code in MONK_SCALE])


def _pick_rows(table: NDArray[Any], draws: NDArray[Any]) -> NDArray[Any]:
    places = np.minimum((draws * len(table)).astype(np.int64), len(table) - 1)
    return table[places].astype(np.float64)


def _metering(skin: NDArray[Any]) -> NDArray[Any]:
    """Return the exponent by which a camera that meters on the face lifts or lowers all tones.

    Dark skin is lifted half of the way to a middle tone, so that it keeps its place on the scale
    and its features still show.
    """
    luma = skin @ np.array(LUMA) / (256 * 255)
    return np.minimum(0.5 + 0.5 * np.log(0.6) / np.log(luma), 1.0)


def _hair(faces: Faces) -> NDArray[Any]:
    """Return the colour of each person's hair; most of the elderly are grey."""
    people, traits = faces.people, faces.people.traits
    hair = _pick_rows(_HAIR, traits["hair_tone"] * (1 - 0.75 * _dark(faces)))
    hair = hair * (0.8 + 0.5 * traits["hair_hue"][:, None])
    grey = (people.age_group == 3) & (traits["hair_hue"] < 0.75)
    return np.where(grey[:, None], _pick_rows(_GREY_HAIR, traits["hair_tone"]), hair)


def _dark(faces: Faces) -> NDArray[Any]:
    """Return skin tone as 0..1: dark skin goes with dark hair and eyes more often than not."""
    return faces.people.skin_tone / 9.0


def mix_palette(faces: Faces, channels: int) -> Palette:
    """Return for each face the colour of each part, an integer or three in 0..255."""
    people, traits, camera = faces.people, faces.people.traits, faces.camera

    def column(name: str) -> NDArray[Any]:
        return traits[name][:, None]

    # Lit from the side, so that teeth and eyes can be lighter than the lightest skin.
    skin = 0.86 * monk_rgb()[people.skin_tone]
    hair = _hair(faces)
    cover = (traits["cover"] < 0.08 * (0.5 + faces.difficulty))[:, None]
    cloth = np.stack([traits["hair_hue"], traits["hair_tone"], traits["parting"]], axis=1) * 230
    covering = np.where(cover, cloth + 12, hair)
    solid = 0.3 + 0.4 * column("brow_tone")
    brow = solid * hair * 0.8 + (1 - solid) * skin * 0.75
    faint = np.array([0.6, 0.25, 0.0, 0.1])[people.age_group][:, None]
    brow = np.minimum(brow * (1 - faint) + skin * 0.8 * faint, skin * 0.8)
    female_adult = (people.gender == 0) & (people.age_group >= 2)
    make_up = np.where(female_adult & (traits["make_up"] < 0.45), 1.0, 0.0)[:, None]
    lip = skin * np.array([0.9, 0.72, 0.7]) * (1 - make_up * np.array([0.03, 0.18, 0.14]))
    lip = lip * (0.9 + 0.2 * column("lip_tone"))
    iris = _pick_rows(_IRIS, traits["iris"] * (1 - 0.7 * _dark(faces)))
    white = np.array([255, 252, 246]) * (0.9 + 0.1 * camera["brightness"][:, None])
    back = np.stack([camera["background"]] * 3, axis=1)
    tint = np.stack([camera["background_x"], camera["background_y"], camera["clutter"]], axis=1)
    # A quarter stands before white paper, as portraits made for sale do.
    back = 255 * np.clip(1.3 * (0.8 * back + 0.2 * tint), 0, 1)
    lash = np.minimum(skin * 0.3, 60) * (1 - 0.35 * make_up)
    parts = {
        "skin": skin,
        "neck": skin * 0.68,
        "ear": skin * 0.85,
        "hair": covering,
        "hair_dark": covering * 0.7,
        "beard": 0.6 * np.minimum(hair, skin) + 0.4 * skin * 0.85,
        "brow": brow,
        "sclera": white * (0.5 + 0.38 * np.minimum(skin.mean(1, keepdims=True) / 150, 1)),
        "iris": iris * 0.8,
        "glint": white,
        "lash": lash,
        "lid": skin * 0.55,
        "nostril": skin * 0.48,
        "upper_lip": lip * 0.85,
        "lower_lip": lip,
        "gap": np.full_like(skin, (48, 18, 18)),
        "tongue": np.full_like(skin, (140, 66, 66)),
        "teeth": white * 0.97,
        "lower_teeth": white * 0.75,
        "mouth_line": lip * 0.5,
        "background": back,
        "wall": np.clip(back[:, ::-1] * 0.6 + 80 * camera["background_y"][:, None], 0, 255),
        "frame": 30 + 60 * np.stack([traits["glasses_shape"]] * 3, axis=1),
    }
    names = list(parts)
    levels = np.clip(np.stack(list(parts.values()), axis=1), 0, 255) / 255
    values = np.rint(255 * levels ** _metering(skin)[:, None, None]).astype(np.int64)
    if channels == 1:
        grey_values = (values @ np.array(LUMA) + 128) >> 8
        return [dict(zip(names, row, strict=True)) for row in grey_values.tolist()]
    return [
        {name: tuple(color) for name, color in zip(names, row, strict=True)}
        for row in values.tolist()
    ]

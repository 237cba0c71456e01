"""What is drawn for each person and each face: groups, identity, action units, the camera.

Every quantity comes from a fixed number of uniform draws for each person and each face, taken row
by row. Face i is therefore the same whatever the number of faces that were asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets._base import EMOTIONS
from emohelpers.errors import ConfigurationError

AGE_GROUPS = ("baby", "child", "adult", "elderly")
GENDERS = ("female", "male")
SKIN_TONES = tuple(range(1, 11))

MONK_SCALE = (
    "#f6ede4",
    "#f3e7db",
    "#f7ead0",
    "#eadaba",
    "#d7bd96",
    "#a07e56",
    "#825c43",
    "#604134",
    "#3a312a",
    "#292420",
)
"""The ten colours of the Monk Skin Tone Scale, lightest first, as published at
https://skintone.google/get-started (Ellis Monk 2019, CC BY 4.0)."""

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 20, 23, 25, 26, 43)
"""The action units that can be drawn, by their numbers in the Facial Action Coding System."""

EMFACS: Mapping[str, tuple[int, ...]] = {
    "anger": (4, 5, 7, 23),
    "disgust": (9, 15, 16),
    "fear": (1, 2, 4, 5, 7, 20, 26),
    "happiness": (6, 12),
    "sadness": (1, 4, 15),
    "surprise": (1, 2, 5, 26),
    "neutral": (),
    "contempt": (12, 14),
}
"""The action units of each emotion after EMFACS (Friesen and Ekman 1983); contempt is one-sided."""

COMPANIONS: Mapping[str, Mapping[int, tuple[float, float]]] = {
    "anger": {25: (0.5, 0.9), 26: (0.36, 0.75), 10: (0.34, 0.8), 16: (0.4, 0.8), 9: (0.2, 0.5)},
    "disgust": {10: (0.75, 0.9), 25: (0.55, 0.6), 4: (0.8, 0.7), 7: (0.7, 0.7), 17: (0.3, 0.6)},
    "fear": {25: (1.0, 0.8)},
    "happiness": {25: (0.8, 1.0), 26: (0.35, 0.65), 7: (0.4, 0.5), 10: (0.25, 0.4)},
    "sadness": {17: (0.7, 0.8), 25: (0.12, 0.5), 43: (0.3, 0.85), 7: (0.3, 0.4)},
    "surprise": {25: (1.0, 1.0)},
    "neutral": {25: (0.12, 0.25), 43: (0.05, 0.8)},
    "contempt": {17: (0.3, 0.4), 7: (0.3, 0.4)},
}
"""Units that often come along: (share of the faces that have them, strength beside the others)."""

FACES_PER_PERSON = 4
GROUPS: Mapping[str, tuple[Any, ...]] = {
    "age_group": AGE_GROUPS,
    "gender": GENDERS,
    "skin_tone": SKIN_TONES,
}
_DEFAULT_SHARES: Mapping[str, tuple[float, ...]] = {
    "age_group": (0.1, 0.2, 0.5, 0.2),
    "gender": (0.5, 0.5),
    "skin_tone": (0.1,) * 10,
}

_TRAITS = (
    "age_group gender skin_tone face_width jaw_width chin_length eye_size eye_distance "
    "eye_slant eye_depth monolid brow_thickness brow_arch brow_height brow_tone nose_width "
    "nose_length lip_fullness lip_tone mouth_width hair_style hair_line hair_tone hair_hue "
    "parting bald cover beard moustache glasses glasses_shape iris age_marks make_up "
    "cheek_folds mouth_rest"
)
_FACE_DRAWS = (
    "intensity mouth side asymmetry gaze_x gaze_y yaw pitch roll shift_x shift_y "
    "scale aspect light_x light_y light_strength softness background background_x "
    "background_y clutter hand hand_side hand_height contrast brightness gamma blur "
    "resolution noise jpeg grain texture_x texture_y quality sharpness flash"
)
_RATERS = 10

_TRAIT_NAMES, _DRAW_NAMES = _TRAITS.split(), _FACE_DRAWS.split()


class Draws(Mapping[str, NDArray[Any]]):
    """Columns of uniform draws by name; `signed` gives them in -1..1."""

    def __init__(self, values: NDArray[Any], names: Sequence[str]) -> None:
        self._columns = {name: values[:, place] for place, name in enumerate(names)}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name]

    def __iter__(self) -> Any:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def take(self, rows: NDArray[np.int64]) -> "Draws":
        """Return some rows of every column."""
        values = np.stack([column[rows] for column in self._columns.values()], axis=1)
        return Draws(values, list(self._columns))

    def signed(self, name: str) -> NDArray[Any]:
        """Return a column in -1..1."""
        return 2 * self._columns[name] - 1


@dataclass(frozen=True)
class People:
    """The identity of each person: `traits` in 0..1 and the groups as positions in `GROUPS`."""

    traits: Draws
    age_group: NDArray[np.int64]
    gender: NDArray[np.int64]
    skin_tone: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> "People":
        """Return the people of some rows, as often as each is named."""
        return People(
            self.traits.take(rows),
            self.age_group[rows],
            self.gender[rows],
            self.skin_tone[rows],
        )


@dataclass(frozen=True)
class Faces:
    """Everything that a face is drawn from.

    `units` has shape (n, len(ACTION_UNITS), 2): the strength on the left and right of the picture.
    """

    people: People
    labels: NDArray[np.int64]
    intensity: NDArray[Any]
    units: NDArray[Any]
    camera: Draws
    quality: NDArray[Any]
    difficulty: NDArray[Any]
    rater_draws: NDArray[Any]

    def __len__(self) -> int:
        return len(self.labels)

    def unit(self, number: int) -> NDArray[Any]:
        """Return the strength of an action unit on both sides, shape (n, 2)."""
        return self.units[:, ACTION_UNITS.index(number)]


def _cumulative(shares: Sequence[float]) -> NDArray[Any]:
    total = np.cumsum(np.asarray(shares, dtype=np.float64))
    return total / total[-1]


def _pick(draws: NDArray[Any], shares: Sequence[float]) -> NDArray[np.int64]:
    """Turn uniform draws into positions with the given shares."""
    places = np.searchsorted(_cumulative(shares), draws, side="right")
    return np.minimum(places, len(shares) - 1)


def group_shares(group_sizes: Mapping[str, Mapping[Any, float]] | None) -> dict[str, list[float]]:
    """Check `group_sizes` and return the share of each value of each group column.

    Raises
    ------
    ConfigurationError
        If a column or a value is unknown, a share is negative or all are 0.
    """
    shares = {column: list(values) for column, values in _DEFAULT_SHARES.items()}
    for column, wanted in (group_sizes or {}).items():
        if column not in GROUPS or not isinstance(wanted, Mapping):
            raise ConfigurationError(
                f"group_sizes: {column!r}: expected a mapping of values to shares for one of "
                f"{', '.join(GROUPS)}"
            )
        unknown = [value for value in wanted if value not in GROUPS[column]]
        if unknown:
            raise ConfigurationError(
                f"group_sizes[{column!r}]: unknown {unknown[0]!r}: expected some of "
                f"{', '.join(map(str, GROUPS[column]))}"
            )
        given = [float(wanted.get(value, 0)) for value in GROUPS[column]]
        if not np.isfinite(given).all() or min(given) < 0 or sum(given) <= 0:
            raise ConfigurationError(
                f"group_sizes[{column!r}]: {dict(wanted)}: expected shares of 0 or more, not all 0"
            )
        shares[column] = given
    return shares


def group_multipliers(group_quality: Mapping[Any, float] | None) -> dict[str, dict[int, float]]:
    """Check `group_quality` and return multipliers by column and position.

    Raises
    ------
    ConfigurationError
        If a group is unknown or a multiplier lies outside 0..1.
    """
    found: dict[str, dict[int, float]] = {column: {} for column in GROUPS}
    for group, multiplier in (group_quality or {}).items():
        columns = [column for column, values in GROUPS.items() if group in values]
        if not columns:
            known = [str(value) for values in GROUPS.values() for value in values]
            raise ConfigurationError(
                f"group_quality: unknown group {group!r}: expected some of {', '.join(known)}"
            )
        if not 0 <= float(multiplier) <= 1:
            raise ConfigurationError(
                f"group_quality[{group!r}] is {multiplier}: expected a multiplier in 0..1"
            )
        found[columns[0]][GROUPS[columns[0]].index(group)] = float(multiplier)
    return found


def emotion_shares(emotions: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    """Check `emotions` and return the share of each.

    Raises
    ------
    ConfigurationError
        If there are none, one is unknown or stands twice, or the shares are not positive.
    """
    names = list(emotions)
    unknown = [name for name in names if name not in EMOTIONS]
    if isinstance(emotions, str) or not names or unknown or len(set(names)) != len(names):
        raise ConfigurationError(
            f"emotions={emotions!r}: expected different ones of {', '.join(EMOTIONS)}"
        )
    shares = [float(emotions[name]) if isinstance(emotions, Mapping) else 1.0 for name in names]
    if not np.isfinite(shares).all() or min(shares) <= 0:
        raise ConfigurationError(f"emotions={emotions!r}: expected a share above 0 for each")
    return dict(zip(names, shares, strict=True))


def draw_people(n: int, seed: int, shares: Mapping[str, Sequence[float]]) -> People:
    """Draw `n` people: their groups with the given shares and their traits."""
    stream = np.random.default_rng([seed, 1])
    traits = Draws(stream.random((n, len(_TRAIT_NAMES))), _TRAIT_NAMES)
    groups = {column: _pick(traits[column], shares[column]) for column in GROUPS}
    return People(traits, groups["age_group"], groups["gender"], groups["skin_tone"])


def draw_labels(first: int, n: int, seed: int, shares: Mapping[str, float]) -> NDArray[np.int64]:
    """Draw labels whose counts stay near their shares in every run of faces.

    The steps of the golden ratio fill 0..1 evenly, so that also a short draw has every class, and
    the faces of one person differ in expression.
    """
    start = np.random.default_rng([seed, 2]).random()
    steps = (start + (np.arange(first, first + n) + 1) * 0.6180339887498949) % 1.0
    return _pick(steps, list(shares.values()))


def _unit_tables() -> NDArray[Any]:
    """Return strength, share and strength of companions: shape (3, emotions, action units)."""
    tables = np.zeros((3, len(EMOTIONS), len(ACTION_UNITS)))
    for row, name in enumerate(EMOTIONS):
        for number in EMFACS[name]:
            tables[0, row, ACTION_UNITS.index(number)] = 1
        for number, companion in COMPANIONS[name].items():
            tables[1:, row, ACTION_UNITS.index(number)] = companion
    return tables


def _draw_units(
    emotions: NDArray[np.int64], draws: Draws, jitter: NDArray[Any], difficulty: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the intensity of each expression and the strength of each unit on both sides."""
    intensity = 1 - (0.35 + 0.4 * difficulty) * draws["intensity"]
    core, chance, extra = _unit_tables()
    # What opens the mouth opens it together; the other companions come and go by themselves.
    of_mouth = np.isin(ACTION_UNITS, (10, 16, 25, 26))
    luck = np.where(of_mouth, draws["mouth"][:, None], jitter[:, ::-1])
    strength: NDArray[Any] = core[emotions] + extra[emotions] * (luck < chance[emotions])
    hard = difficulty[:, None]
    least = 0.9 - 0.65 * hard
    strength = strength * intensity[:, None] * (least + (1.15 - least) * jitter)
    idle = np.where(np.isin(ACTION_UNITS, (25, 26, 43)), 0.0, 0.3 * hard)
    strength = np.maximum(strength, idle * jitter**2)
    both = np.repeat(strength[:, :, None], 2, axis=2)
    left = draws["side"] < 0.5
    weaker = 1 - (0.1 + 0.3 * difficulty) * draws["asymmetry"] ** 2
    weaker = np.where(emotions == EMOTIONS.index("contempt"), 0.08, weaker)
    both[:, :, 0] *= np.where(left, 1.0, weaker)[:, None]
    both[:, :, 1] *= np.where(left, weaker, 1.0)[:, None]
    return intensity, np.clip(both, 0, 1.1)


class FaceStream:
    """Draws faces in order, a chunk at a time; the chunks' sizes make no difference."""

    def __init__(
        self,
        people: People,
        *,
        seed: int,
        emotions: Mapping[str, float],
        difficulty: tuple[float, float],
        multipliers: Mapping[str, Mapping[int, float]],
    ) -> None:
        self._people, self._seed, self._emotions = people, seed, emotions
        self._difficulty, self._multipliers = difficulty, multipliers
        self._stream = np.random.default_rng([seed, 3])
        self._difficulties = np.random.default_rng([seed, 4])
        self._next = 0

    def take(self, n: int) -> Faces:
        """Return the next `n` faces."""
        rows = np.arange(self._next, self._next + n) // FACES_PER_PERSON
        width = len(_DRAW_NAMES) + len(ACTION_UNITS) + _RATERS
        values = self._stream.random((n, width))
        draws = Draws(values, _DRAW_NAMES)
        jitter = values[:, len(_DRAW_NAMES) : len(_DRAW_NAMES) + len(ACTION_UNITS)]
        labels = draw_labels(self._next, n, self._seed, self._emotions)
        places = np.array([EMOTIONS.index(name) for name in self._emotions])[labels]
        low, high = self._difficulty
        difficulty = low + (high - low) * self._difficulties.random(n)
        intensity, units = _draw_units(places, draws, jitter, difficulty)
        people = self._people.take(rows)
        quality = 1 - 0.5 * difficulty * draws["quality"] ** 3
        for column, wanted in self._multipliers.items():
            factors = np.ones(len(GROUPS[column]))
            factors[list(wanted)] = list(wanted.values())
            quality = quality * factors[getattr(people, column)]
        self._next += n
        return Faces(
            people=people,
            labels=places,
            intensity=np.where(places == EMOTIONS.index("neutral"), 0.0, intensity),
            units=units,
            camera=draws,
            quality=quality,
            difficulty=difficulty,
            rater_draws=values[:, -_RATERS:],
        )

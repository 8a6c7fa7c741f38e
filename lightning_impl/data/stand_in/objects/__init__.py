"""The thirty objects: class name → the function that sketches one of it."""

from __future__ import annotations

from collections.abc import Callable

from lightning_impl.data.stand_in.objects import animals, household, instruments, outdoors, tools, vehicles
from lightning_impl.data.stand_in.sketch import Sketch

OBJECTS: dict[str, Callable[[Sketch], None]] = {
    "airplane": vehicles.airplane,
    "anchor": tools.anchor,
    "bicycle": vehicles.bicycle,
    "butterfly": animals.butterfly,
    "cactus": outdoors.cactus,
    "car": vehicles.car,
    "chair": household.chair,
    "clock": instruments.clock,
    "crab": animals.crab,
    "cup": household.cup,
    "fish": animals.fish,
    "glasses": instruments.glasses,
    "guitar": instruments.guitar,
    "hammer": tools.hammer,
    "helicopter": vehicles.helicopter,
    "house": outdoors.house,
    "key": tools.key,
    "ladder": tools.ladder,
    "lamp": household.lamp,
    "mushroom": outdoors.mushroom,
    "rabbit": animals.rabbit,
    "sailboat": vehicles.sailboat,
    "scissors": tools.scissors,
    "snail": animals.snail,
    "spider": animals.spider,
    "teapot": household.teapot,
    "turtle": animals.turtle,
    "umbrella": instruments.umbrella,
    "windmill": outdoors.windmill,
    "wineglass": household.wineglass,
}

CLASS_NAMES: tuple[str, ...] = tuple(sorted(OBJECTS))

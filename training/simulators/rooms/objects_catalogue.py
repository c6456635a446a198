"""All small objects by category, and which of them are found together: a theme is a weighted list of categories."""

from __future__ import annotations

from training.simulators.rooms import (
    objects_food,
    objects_home,
    objects_kitchen,
    objects_office,
    objects_toys_tools,
)
from training.simulators.rooms.materials import Palette
from training.simulators.rooms.objects import Builder, ObjectModel

YIELDING = frozenset({"Pillow"})
"""What gives way to what it lies on: its round underside sinks in a little."""


def _stood(builder: Builder) -> Builder:
    def build(paint: Palette) -> ObjectModel:
        return builder(paint).stood()

    return build


_BUILDERS: dict[str, Builder] = {
    **objects_kitchen.BUILDERS,
    **objects_food.BUILDERS,
    **objects_office.BUILDERS,
    **objects_home.BUILDERS,
    **objects_toys_tools.BUILDERS,
}
SMALL_OBJECTS: dict[str, Builder] = {
    name: builder if name in YIELDING else _stood(builder) for name, builder in _BUILDERS.items()
}


def _weights(text: str) -> dict[str, float]:
    """'Mug*3 Plate' -> {'Mug': 3, 'Plate': 1}."""
    pairs = (word.partition("*") for word in text.split())
    return {name: float(weight or 1) for name, _, weight in pairs}


THEMES: dict[str, dict[str, float]] = {
    "cooking": _weights(
        "Pan*3 Pot*3 Knife*2 Spatula*2 Ladle*2 Whisk*2 RollingPin*2 CuttingBoard*2 Bowl*2 Bottle*2 Jar*2"
        " SaltShaker*2 Kettle*1.5 Teapot Toaster*1.5 Microwave CoffeeMachine Blender UtensilHolder*1.5"
        " PaperTowelRoll*1.5 DishSponge*2 SoapBottle ScrubBrush Mug*2 Cup Can Onion Tomato Potato Egg BellPepper"
        " Cloth Tray SprayBottle Spoon Fork"
    ),
    "dining": _weights(
        "Plate*3 Fork*4 Knife*4 Spoon*4 Mug*2.5 Cup*2.5 WineGlass*2 Bowl*2 Bottle*2 SaltShaker*1.5 Bread*1.5"
        " Candle Teapot Vase Jar Cake*1.5 Pizza*2.5 Sandwich*1.5 Croissant*1.5 Cookie*1.5 Donut Cheese Tray"
        " Cloth*1.5 Pot Pan"
    ),
    "produce": _weights(
        "Apple*2 Orange*2 Tomato*2 Peach*1.5 Onion*1.5 Potato*1.5 Pear*2 Lemon*2 Banana*2.5 Grapes*2 Walnut*2"
        " Egg*1.5 Strawberry*2 Mushroom*1.5 Carrot*2 Cucumber*1.5 Eggplant*1.5 BellPepper*2 Lettuce*1.5 Bread"
        " Cheese EggCarton"
    ),
    "groceries": _weights(
        "Can*3 MilkCarton*2 CerealBox*2.5 Box*2 SnackBag*3 Jar*2.5 Bottle*3 EggCarton Bread TissueBox"
        " PaperTowelRoll ToiletPaper SoapBottle SprayBottle Toothpaste Cookie Donut Apple Banana Orange Lettuce"
        " Cheese Handbag"
    ),
    "desk": _weights(
        "Book*2 Notebook*2 Newspaper Envelope*1.5 Laptop*2 Monitor Tablet*1.5 CellPhone*2 Calculator*1.5"
        " Keyboard*2 Mouse*2 Headphones*1.5 Speaker Camera DeskLamp AlarmClock Pen*2.5 Pencil*2.5 PencilCup*1.5"
        " Scissors*2 Stapler*1.5 Tape*2 GlueStick*1.5 Ruler*2 Printer Mug*1.5 Glasses*1.5 Watch Wallet"
        " PictureFrame HousePlant Cup SnackBag"
    ),
    "living": _weights(
        "RemoteControl*3 Book*1.5 Newspaper*1.5 CellPhone*1.5 Tablet GameController*2 Headphones Radio Speaker"
        " AlarmClock DeskLamp HousePlant Vase*1.5 Candle*2 TissueBox*1.5 PictureFrame*2 Statue*2 Mug Cup WineGlass"
        " Bowl Glasses*1.5 Camera Cloth*1.5 Basket SnackBag Cookie Watch Wallet"
    ),
    "bathroom": _weights(
        "SoapBottle*3 SoapBar*3 Toothpaste*3 Toothbrush*3 Cup*2 TissueBox ToiletPaper*2 SprayBottle*2 Cloth*2"
        " Candle Scissors ScrubBrush*1.5 Vase Glasses Watch HousePlant Jar"
    ),
    "toys": _weights(
        "TeddyBear*2 ToyCar*3 ToyTrain*2 Ball*2 ToyBlock*4 PuzzleCube*2 RubberDuck*2 Doll*2.5 StackingRings*1.5"
        " GameController Book Pencil*1.5 PaintBrush*1.5 Crate Basket BasketBall Hat Cup Cookie"
    ),
    "workshop": _weights(
        "Hammer*3 Screwdriver*3 Wrench*3 Pliers*3 TapeMeasure*2 Drill*2 Flashlight*1.5 LightBulb*1.5 Battery*2"
        " Padlock*1.5 Key*1.5 PaintBrush*2 Bolt*3 Toolbox*1.5 Tape*1.5 Scissors Can SprayBottle Bucket Box Crate"
        " Pencil Ruler Cloth Glasses"
    ),
    "snacks": _weights(
        "Sandwich*2 Cake*2 Cookie*3 Donut*2 Croissant*2 Bread Cheese*1.5 Egg*1.5 Strawberry*2 Walnut*2 Grapes*1.5"
        " Tomato Carrot Cucumber Mushroom Apple Banana Lemon"
    ),
    "soft": _weights(
        "Pillow*5 Cloth*2.5 Book RemoteControl CellPhone Headphones Laptop Tablet Handbag GameController"
        " Newspaper TeddyBear Hat"
    ),
    "floor": _weights(
        "Backpack*2 Suitcase*1.5 Handbag*1.5 Shoe*3 GarbageCan*2.5 LaundryHamper*1.5 Bucket*1.5 Box*2.5 Basket"
        " Crate Cloth*1.5 HousePlant*2 WateringCan Plunger ToiletBrush Pillow Book Bottle PaperTowelRoll"
        " ToiletPaper Newspaper Ball*1.5 BasketBall*1.5 BaseballBat*1.5 Dumbbell*1.5 Umbrella*2 Toolbox*1.5"
        " TeddyBear*1.5 ToyCar ToyTrain Hat"
    ),
}

ROOM_THEMES: dict[str, list[str]] = {
    "kitchen": ["cooking", "cooking", "dining", "groceries", "produce"],
    "living": ["living", "living", "dining", "desk", "groceries", "toys"],
    "bedroom": ["living", "desk", "living", "bathroom", "toys"],
    "office": ["desk", "desk", "living", "workshop"],
    "bathroom": ["bathroom", "bathroom", "living"],
}

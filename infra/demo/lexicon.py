"""Words of the story grammar."""

GIRLS = (
    "Anna", "Clara", "Emma", "Grace", "Ida", "June", "Lucy", "Mary", "Nora", "Rose", "Ruth",
    "Sara",
)  # fmt: skip
BOYS = (
    "Adam", "Ben", "Carl", "David", "Eric", "Frank", "Henry", "Jack", "Leo", "Max", "Paul", "Tom",
)  # fmt: skip
TOWNS = ("Ashford", "Brook", "Cliffton", "Dale", "Elmwood", "Fairhill", "Greenport", "Harwick")
JOBS = (
    "baker", "farmer", "teacher", "doctor", "painter", "sailor", "driver", "builder", "singer",
    "gardener", "tailor", "miller",
)  # fmt: skip
PETS = ("dog", "cat", "horse", "rabbit", "goat", "parrot", "pony", "duck")
PET_NAMES = ("Bella", "Coco", "Daisy", "Fluff", "Lucky", "Max", "Pepper", "Rusty", "Spot", "Star")
COLOURS = ("red", "green", "blue", "yellow", "black", "white", "brown", "pink")
THINGS = (
    "hat", "coat", "bag", "lamp", "chair", "table", "cup", "book", "box", "key", "basket",
    "blanket", "clock", "drum", "kite", "mirror", "map", "bell", "boat", "cart",
)  # fmt: skip
FOODS = (
    "bread", "soup", "cheese", "rice", "fish", "cake", "honey", "jam", "apples", "pears",
    "plums", "nuts",
)  # fmt: skip
PLACES = (
    "market", "river", "mill", "school", "harbour", "forest", "bridge", "garden", "church",
    "station", "lake", "hill", "library", "bakery", "field", "square",
)  # fmt: skip
WEATHER = ("sunny", "cloudy", "rainy", "windy", "foggy", "cold", "warm", "snowy")
MOODS = ("happy", "tired", "proud", "calm", "hungry", "curious", "worried", "cheerful")
TIMES = (
    "in the morning", "in the afternoon", "in the evening", "at noon", "before breakfast",
    "after dinner", "at night", "after work",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ADVERBS = ("slowly", "quickly", "quietly", "carefully", "happily", "gently")
MATERIALS = ("wood", "stone", "glass", "paper", "iron", "wool", "silver", "clay")
SIZES = ("small", "large", "old", "new", "heavy", "light", "round", "long")

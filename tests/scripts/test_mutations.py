"""What `make mutants` plants: each kind of fault, where it is expected, and code that still compiles."""

from pathlib import Path

import pytest

from scripts.mutations import mutants_of, sample, source_files

pytestmark = pytest.mark.unit

SOURCE = Path(__file__).parents[2] / "src" / "patriot"
PLANTED = {
    "a < b": ["boundary: a < b -> (a <= b)"],
    "a == b": ["comparison: a == b -> (a != b)"],
    "a and b": ["boolean: a and b -> (a or b)"],
    "not a": ["negation: not a -> (a)"],
    "a - b": ["arithmetic: a - b -> (a + b)"],
    "a *= b": ["arithmetic: a *= b -> a /= b"],
    "a = 3": ["constant: 3 -> 4"],
    "a = True": ["constant: True -> False"],
    "a = Decimal('0.5')": ["constant: '0.5' -> '1.5'"],
    "a = {b, c}": ["element: b -> (c)", "element: c -> (b)"],
    "await a.send()": ["removed call: await a.send() -> pass"],
    "a.b = c": ["removed assignment: a.b = c -> pass"],
    "if a: b": ["condition: a -> (not (a))"],
    "[b for b in a if b.c]": ["condition: b.c -> (not (b.c))"],
    "while a: break": ["condition: a -> (not (a))", "loop: break -> continue"],
    "return a": ["early return: return a -> return None"],
    "return False": ["constant: False -> True"],
    "return": ["removed exit: return -> pass"],
    "raise a": ["removed exit: raise a -> pass"],
    "log.info('a', b=1)": [],
    "a: Literal[1] = b": [],
    "f'{a + b}'": [],
}


@pytest.mark.parametrize("code", PLANTED)
def test_each_kind_of_fault_is_planted_where_it_belongs(code: str) -> None:
    source = f"async def f():\n    {code}\n".encode()
    mutants = mutants_of("x.py", source)
    assert [mutant.name for mutant in mutants] == [f"x.py f {planted}" for planted in PLANTED[code]]
    assert all(mutant.lines == range(2, 3) for mutant in mutants)


def test_decorator_goes_with_its_sign_and_what_shapes_a_class_stays() -> None:
    source = b"@retried(a)\n@dataclass(frozen=True)\nclass C: ...\n"
    assert [one.planted(source) for one in mutants_of("x.py", source)] == [b"\n@dataclass(frozen=True)\nclass C: ...\n"]


def test_every_fault_in_the_source_compiles_and_has_a_name_of_its_own() -> None:
    names: set[str] = set()
    for file in source_files(SOURCE, "orders"):
        source = file.read_bytes()
        for mutant in mutants_of(str(file), source):
            compile(mutant.planted(source), mutant.name, "exec")
            assert mutant.name not in names
            names.add(mutant.name)
    assert len(names) > 500


def test_sample_does_not_move_when_other_lines_do() -> None:
    source = (SOURCE / "orders" / "decider.py").read_bytes()
    before, after = (sample(mutants_of("x.py", text), "1", 20) for text in (source, b"\n\n" + source))
    assert [mutant.name for mutant in before] == [mutant.name for mutant in after]
    assert [mutant.name for mutant in before] != [mutant.name for mutant in sample(mutants_of("x.py", source), "2", 20)]

"""Vectors of 64 numbers as values in compiled code: the few LLVM instructions the kernels need.

numba has no vector type of its own. Here a row of a ``[rows, 64]`` array is one value that LLVM
keeps in registers: four of AVX-512, eight of AVX2, sixteen of NEON. Everything is done with LLVM's
generic vector instructions, so it is correct on every CPU and fast where vectors are wide.

There is no check of bounds: rows must lie inside their arrays.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, register_model

LANES: Final = 64
"""Numbers in a vector; the width of every array that `load` and `store` take."""

_I32: Final = ir.IntType(32)
_GROUP: Final = 16
# Feeding the accumulators in this order makes `_sum_each` give its sums in the natural one.
_ORDER: Final = (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)


def _instruction(function: Any) -> Any:
    """`numba.extending.intrinsic`, for the eyes of type checkers."""
    return intrinsic(function)


class VectorType(types.Type):
    """numba's type of a vector of 64 numbers of one dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: VectorType) -> None:
        in_memory = ir.VectorType(_scalar(kind.dtype), LANES)
        super().__init__(manager, kind, in_memory)  # type: ignore[no-untyped-call]


@_instruction
def load(typing: Any, array: Any, row: Any) -> Any:
    """``array[row]`` as a vector."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load(context, builder, signature.args[0], args[0], args[1])

    return VectorType(_contiguous(array).dtype)(array, row), generate


@_instruction
def store(typing: Any, array: Any, row: Any, vector: Any) -> Any:
    """``array[row] = vector``."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        pointer = _row(context, builder, kind, args[0], args[1])
        builder.store(args[2], pointer, align=_size(kind.dtype))
        return context.get_dummy_value()

    return types.void(_contiguous(array), row, vector), generate


@_instruction
def add_scaled(typing: Any, total: Any, factor: Any, vector: Any) -> Any:
    """``total + factor * vector``, a number times a vector, rounded once."""
    del typing, factor

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context
        kind = signature.args[0]
        return _fma(builder, kind.dtype, LANES, _splat(builder, args[1], LANES), args[2], args[0])

    return total(total, total.dtype, vector), generate


@_instruction
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Start to load ``array[index]`` into the caches, without waiting for it."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _element(context, builder, signature.args[0], args[0], args[1])
        pointer = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, _I32, _I32, _I32])
        function = _llvm(builder, "llvm.prefetch.p0", kind)
        for_reading, keep_in_all_caches, data = (ir.Constant(_I32, n) for n in (0, 3, 1))
        builder.call(function, [pointer, for_reading, keep_in_all_caches, data])
        return context.get_dummy_value()

    return types.void(_contiguous(array), index), generate


@_instruction
def scaled(typing: Any, factor: Any, vector: Any) -> Any:
    """``factor * vector``, a number times a vector."""
    del typing, factor

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return builder.fmul(_splat(builder, args[0], LANES), args[1])

    return vector(vector.dtype, vector), generate


@_instruction
def dot(typing: Any, left: Any, right: Any) -> Any:
    """The inner product of two vectors."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context
        dtype = signature.args[0].dtype
        return _sum(builder, _products(builder, dtype, *args))

    return left.dtype(left, right), generate


@_instruction
def add_up(typing: Any, vector: Any) -> Any:
    """The sum of a vector's numbers."""
    del typing

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        parts = [_part(builder, args[0], start) for start in range(0, LANES, _GROUP)]
        return _sum(builder, reduce(builder.fadd, parts))

    return vector.dtype(vector), generate


@_instruction
def store_dots(typing: Any, out: Any, at: Any, left: Any, array: Any, rows: Any) -> Any:
    """``out[at + j] = left . array[rows[at + j]]`` for j in 0..15.

    Sixteen at a time because adding up within one vector costs more than the products; sixteen
    vectors are added up together for little more than the price of two.
    """
    del typing

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out_kind, at_kind, _, kind, rows_kind = signature.args
        del at_kind
        dtype = kind.dtype
        sums = []
        for number in _ORDER:
            position = builder.add(args[1], ir.Constant(args[1].type, number))
            row = _element(context, builder, rows_kind, args[4], position)
            row = builder.zext(builder.load(row, align=_size(rows_kind.dtype)), args[1].type)
            vector = _load(context, builder, kind, args[3], row)
            sums.append(_products(builder, dtype, args[2], vector))
        pointer = _element(context, builder, out_kind, args[0], args[1])
        pointer = builder.bitcast(pointer, ir.VectorType(_scalar(dtype), _GROUP).as_pointer())
        builder.store(_sum_each(builder, sums), pointer, align=_size(dtype))
        return context.get_dummy_value()

    return types.void(_contiguous(out), at, left, _contiguous(array), rows), generate


def _contiguous(array: Any) -> Any:
    if array.layout != "C":
        raise TypingError(f"expected rows that lie one after the other, got {array}")
    return array


def _scalar(dtype: Any) -> ir.Type:
    return ir.DoubleType() if dtype == types.float64 else ir.FloatType()


def _size(dtype: Any) -> int:
    return int(dtype.bitwidth) // 8


def _element(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """A pointer to one number of a one-dimensional array, as a pointer to whatever is there."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index], inbounds=True)


def _row(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    first = builder.mul(row, ir.Constant(row.type, LANES))
    pointer = builder.gep(data, [first], inbounds=True)
    return builder.bitcast(pointer, ir.VectorType(_scalar(kind.dtype), LANES).as_pointer())


def _load(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    return builder.load(_row(context, builder, kind, array, row), align=_size(kind.dtype))


def _llvm(builder: Any, name: str, kind: ir.FunctionType) -> Any:
    """One of LLVM's own functions."""
    return cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, kind, name
    )


def _splat(builder: Any, value: Any, lanes: int) -> Any:
    kind = ir.VectorType(value.type, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
    mask = ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), mask)


def _fma(builder: Any, dtype: Any, lanes: int, a: Any, b: Any, c: Any) -> Any:
    kind = ir.VectorType(_scalar(dtype), lanes)
    three = ir.FunctionType(kind, [kind, kind, kind])
    function = _llvm(builder, f"llvm.fma.v{lanes}f{dtype.bitwidth}", three)
    return builder.call(function, [a, b, c])


def _part(builder: Any, vector: Any, start: int) -> Any:
    mask = ir.Constant(ir.VectorType(_I32, _GROUP), list(range(start, start + _GROUP)))
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _products(builder: Any, dtype: Any, left: Any, right: Any) -> Any:
    """The products of two vectors, added up to 16 numbers."""
    total = builder.fmul(_part(builder, left, 0), _part(builder, right, 0))
    for start in range(_GROUP, LANES, _GROUP):
        factors = (_part(builder, left, start), _part(builder, right, start))
        total = _fma(builder, dtype, _GROUP, *factors, total)
    return total


def _sum(builder: Any, vector: Any) -> Any:
    """The sum of 16 numbers, halves first."""
    undefined = ir.Constant(vector.type, ir.Undefined)
    for width in (8, 4, 2, 1):
        order = [*range(width, 2 * width), *range(_GROUP - width)][:_GROUP]
        mask = ir.Constant(ir.VectorType(_I32, _GROUP), order)
        vector = builder.fadd(vector, builder.shuffle_vector(vector, undefined, mask))
    return builder.extract_element(vector, ir.Constant(_I32, 0))


def _sum_each(builder: Any, vectors: list[Any]) -> Any:
    """One vector with the sums of 16 vectors of 16 numbers, see `_ORDER`.

    Each round adds the two halves of every pair of vectors and packs them into one. The first two
    rounds move whole quarters and the last two stay inside quarters, which is what CPUs shuffle
    fastest.
    """
    first_halves = (
        (*range(8), *range(16, 24)),
        (*range(4), *range(8, 12), *range(16, 20), *range(24, 28)),
        tuple(base + i for base in (0, 4, 8, 12) for i in (0, 1, 16, 17)),
        tuple(base + i for base in (0, 4, 8, 12) for i in (0, 2, 16, 18)),
    )
    for order, step in zip(first_halves, (8, 4, 2, 1), strict=True):
        first, second = (
            ir.Constant(ir.VectorType(_I32, _GROUP), [i + shift for i in order])
            for shift in (0, step)
        )
        vectors = [
            builder.fadd(builder.shuffle_vector(a, b, first), builder.shuffle_vector(a, b, second))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    return vectors[0]

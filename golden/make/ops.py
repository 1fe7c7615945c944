"""Writes golden/ops.json and golden/ops.safetensors: for every operation of src/graph/ops.ts a few small,
non-square cases with the result that PyTorch (or a formula written out here) gives in float64.

Run: python golden/make/ops.py   (needs torch and safetensors)
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

random = torch.Generator().manual_seed(20)
cases = []
tensors = {}


def rand(*shape):
    return torch.randn(shape, generator=random, dtype=torch.float64)


def case(op, inputs, expected, **attributes):
    name = f"{op}/{sum(c['op'] == op for c in cases)}"
    for i, x in enumerate(inputs):
        tensors[f"{name}/input{i}"] = x.clone(memory_format=torch.contiguous_format)
    tensors[f"{name}/expected"] = expected.clone(memory_format=torch.contiguous_format)
    cases.append({"name": name, "op": op, "attributes": attributes, "inputs": len(inputs)})


# Elementwise, with every kind of broadcasting.
for op, f in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div}.items():
    for left, right in [((2, 3, 5), (2, 3, 5)), ((2, 1, 3, 2), (4, 1, 2)), ((3, 4), ()), ((5,), (3, 1))]:
        a, b = rand(*left), rand(*right)
        case(op, [a, b], f(a, b))
for op, f in {"sin": torch.sin, "cos": torch.cos, "silu": F.silu}.items():
    for shape in [(2, 5), (3, 1, 2)]:
        x = rand(*shape) * 4
        case(op, [x], f(x))
x = torch.tensor([-800.0, -30.0, 0.0, 30.0, 800.0], dtype=torch.float64)
case("silu", [x], F.silu(x))

# 65520 is the first float64 that is infinite in float16; 1 + 2^-11 is halfway between two float16 numbers.
edges = torch.tensor([0, -1.5, 2.9, -2.9, 1 + 2**-11, 1 + 3 * 2**-11, 65519, 65520, 3e-8, 1 / 3], dtype=torch.float64)
for dtype in ["float32", "float16", "bfloat16", "int64", "int32"]:
    # Through float32, since float16 and bfloat16 are made from float32 everywhere in this system.
    case("cast", [edges], edges.to(torch.float32).to(getattr(torch, dtype)), dtype=dtype)
case("cast", [torch.tensor([[3], [-7]])], torch.tensor([[3.0], [-7.0]], dtype=torch.float64), dtype="float64")

for left, right in [((3, 5), (5, 2)), ((2, 1, 3, 4), (5, 4, 2)), ((4, 2, 3), (3, 5))]:
    a, b = rand(*left), rand(*right)
    case("matmul", [a, b], a @ b, transposeB=False)
    case("matmul", [a, b.mT], a @ b, transposeB=True)

for stride, padding, kernel, size in [
    (1, (0, 0, 0, 0), (1, 1), (3, 4)),
    (1, (1, 1, 1, 1), (3, 3), (4, 6)),
    (2, (0, 0, 1, 1), (3, 3), (4, 7)),
    (2, (1, 2, 0, 3), (2, 3), (5, 4)),
]:
    top, left, bottom, right = padding
    x, weight, bias = rand(2, 3, *size), rand(4, 3, *kernel), rand(4)
    padded = F.pad(x, (left, right, top, bottom))
    case("conv2d", [x, weight, bias], F.conv2d(padded, weight, bias, stride), stride=stride, padding=padding)
case("conv2d", [x, weight], F.conv2d(x, weight), stride=1, padding=(0, 0, 0, 0))

for size, kernel in [((2, 3), 2), ((3, 2), 3)]:
    x, weight, bias = rand(2, 3, *size), rand(3, 4, kernel, kernel), rand(4)
    case("convTranspose2d", [x, weight, bias], F.conv_transpose2d(x, weight, bias, stride=kernel))
case("convTranspose2d", [x, weight], F.conv_transpose2d(x, weight, stride=kernel))

def spread(operand, x):
    """Each cell of a map covers as many cells of x as fit."""
    return operand.repeat_interleave(x.shape[2] // operand.shape[2], 2).repeat_interleave(x.shape[3] // operand.shape[3], 3)


def group_norm(x, scale, shift, groups, epsilon):
    return F.group_norm(x, groups, eps=epsilon) * spread(scale, x) + spread(shift, x)


def group_moments(x, groups):
    values = x.reshape(x.shape[0], groups, -1)
    return torch.stack([values.mean(-1), values.var(-1, correction=0)], -1)


def norm_with(x, scale, shift, moments, groups, epsilon):
    mean, variance = moments.unbind(-1)
    values = (x.reshape(x.shape[0], groups, -1) - mean[..., None]) / (variance[..., None] + epsilon).sqrt()
    return values.reshape(x.shape) * spread(scale, x) + spread(shift, x)


for groups, cells in [(1, (1, 6, 1, 1)), (3, (2, 6, 1, 1)), (6, (2, 6, 2, 2)), (2, (1, 6, 4, 3)), (3, (2, 6, 4, 6))]:
    x, scale, shift = rand(2, 6, 4, 6) * 3 + 1, rand(*cells), rand(*cells)
    expected = group_norm(x, scale, shift, groups, 1e-2)
    case("groupNorm", [x, scale, shift], expected, groups=groups, epsilon=1e-2)
    case("groupMoments", [x], group_moments(x, groups), groups=groups)
    moments = torch.stack([rand(2, groups), rand(2, groups) ** 2], -1)
    expected = norm_with(x, scale, shift, moments, groups, 1e-2)
    case("groupNorm", [x, scale, shift, moments], expected, groups=groups, epsilon=1e-2)
for shape in [(4, 6), (2, 3, 5)]:
    x, weight, bias = rand(*shape) + 1, rand(shape[-1]), rand(shape[-1])
    case("layerNorm", [x, weight, bias], F.layer_norm(x, shape[-1:], weight, bias, 1e-2), epsilon=1e-2)
    case("rmsNorm", [x, weight], weight * x / (x.pow(2).mean(-1, keepdim=True) + 1e-2).sqrt(), epsilon=1e-2)


def attend(q, k, v, heads, scale, bias=None):
    split = lambda t: t.unflatten(-1, (heads, -1)).transpose(1, 2)
    scores = scale * split(q) @ split(k).mT
    weights = (scores if bias is None else scores + bias).softmax(-1)
    return (weights @ split(v)).transpose(1, 2).flatten(2)


hidden = torch.zeros(2, 1, 1, 5, dtype=torch.float64)
hidden[0, ..., 3:] = -math.inf
for heads, scale, queries, keys, bias in [
    (1, 0.5, "tokens", "tokens", None),
    (2, 1.0, "channels", "tokens", hidden),
    (2, 0.7, "channels", "channels", rand(1, 2, 3, 5)),
    (3, 0.3, "tokens", "channels", rand(3, 5)),
]:
    q, k, v = rand(2, 3, 6), rand(2, 5, 6), rand(2, 5, 12)
    expected = attend(q, k, v, heads, scale, bias)
    turn = lambda t, layout: t if layout == "tokens" else t.mT
    inputs = [turn(q, queries), turn(k, keys), turn(v, keys)] + ([] if bias is None else [bias])
    attributes = {"heads": heads, "scale": scale, "queries": queries, "keys": keys}
    case("attention", inputs, turn(expected, queries), **attributes)

for shape, indices in [((5, 3), [[4, 0], [2, 2], [1, 0]]), ((4, 2, 3), [3, 1]), ((6,), [[5]])]:
    table, rows = rand(*shape), torch.tensor(indices)
    case("gather", [table, rows], table[rows])
x = rand(2, 3, 5)
case("argmin", [x], x.argmin(-1))
case("argmin", [torch.tensor([[2.0, 1, 1], [0, 5, 0]], dtype=torch.float64)], torch.tensor([1, 0]))
for axis in range(3):
    case("reduceSum", [x], x.sum(axis), axis=axis)
case("reshape", [x], x.reshape(5, 6), shape=[5, 6])
case("reshape", [x], x.reshape(1, 30, 1), shape=[1, 30, 1])
for shape, order in [((3, 5), (1, 0)), ((2, 3, 4, 5), (0, 2, 3, 1)), ((2, 3, 1, 4, 2), (3, 2, 0, 4, 1))]:
    y = rand(*shape)
    case("transpose", [y], y.permute(order), order=order)
case("slice", [x], x[:, 1:3], axis=1, start=1, end=3, step=1)
case("slice", [x], x[..., 1:5:3], axis=2, start=1, end=5, step=3)
case("slice", [x], x[1:2], axis=0, start=1, end=2, step=1)
case("concat", [x, x[:, :1], x[:, 1:]], torch.cat([x, x[:, :1], x[:, 1:]], 1), axis=1)
case("concat", [x[..., :2], x], torch.cat([x[..., :2], x], 2), axis=2)
case("concat", [x[:1]], x[:1], axis=0)
for factor in [2, 3]:
    x = rand(2, 3, 2, 4)
    case("resizeNearest", [x], x.repeat_interleave(factor, 2).repeat_interleave(factor, 3), factor=factor)


def blocked(x, block):
    """The values in the order of [B, C/block, H, W, block], in x's own shape."""
    return x.unflatten(1, (-1, block)).permute(0, 1, 3, 4, 2).reshape(x.shape)


def blocked_weight(weight, block):
    """The values in the order of [O/block, C/block, kh, kw, block in, block out], in the weight's own shape."""
    order = weight.unflatten(1, (-1, block)).unflatten(0, (-1, block)).permute(0, 2, 4, 5, 3, 1)
    return order.reshape(weight.shape)


for channels, block, kept in [(4, 4, 4), (6, 2, 5), (8, 4, 5)]:
    x = rand(2, channels, 3, 2)
    case("toBlocked", [x], blocked(x, block), block=block)
    case("fromBlocked", [blocked(x, block)], x[:, :kept], block=block, channels=kept)
    tokens = x.flatten(2).mT
    case("blockedToTokens", [blocked(x, block)], tokens, block=block)
    case("tokensToBlocked", [tokens], blocked(x, block), block=block, height=3, width=2)
for channels, out, block, stride, padding in [
    (4, 8, 4, 1, (1, 1, 1, 1)),
    (4, 6, 2, 2, (0, 0, 1, 1)),
    (8, 4, 4, 1, (1, 0, 0, 2)),
]:
    top, left, bottom, right = padding
    x, weight, bias = rand(2, channels, 4, 3), rand(out, channels, 3, 2), rand(out)
    product = F.conv2d(F.pad(x, (left, right, top, bottom)), weight, None, stride)
    addend = rand(*product.shape)
    with_bias = product + bias[:, None, None]
    attributes = {"block": block, "stride": stride, "padding": padding}
    operands = [blocked(x, block), blocked_weight(weight, block)]
    case("blockedConv2d", operands, blocked(product, block), **attributes)
    case("blockedConv2d", [*operands, bias], blocked(with_bias, block), **attributes)
    summed = blocked(with_bias + addend, block)
    case("blockedConv2d", [*operands, bias, blocked(addend, block)], summed, **attributes)
for groups, block, cells in [(1, 4, (1, 8, 1, 1)), (4, 4, (2, 8, 1, 1)), (2, 2, (2, 8, 2, 3)), (4, 8, (1, 8, 4, 6))]:
    x, scale, shift = rand(2, 8, 4, 6) * 3 + 1, rand(*cells), rand(*cells)
    inputs = [blocked(t, block) for t in (x, scale, shift)]
    expected = blocked(group_norm(x, scale, shift, groups, 1e-2), block)
    case("blockedGroupNorm", inputs, expected, block=block, groups=groups, epsilon=1e-2)
    case("blockedGroupMoments", inputs[:1], group_moments(x, groups), block=block, groups=groups)
    moments = torch.stack([rand(2, groups), rand(2, groups) ** 2], -1)
    expected = blocked(norm_with(x, scale, shift, moments, groups, 1e-2), block)
    case("blockedGroupNorm", [*inputs, moments], expected, block=block, groups=groups, epsilon=1e-2)

# What derivatives and optimisers need; expected values of derivatives come from PyTorch's own.
for op, f in {"sigmoid": torch.sigmoid, "abs": torch.abs, "sign": torch.sign, "detach": torch.clone}.items():
    for shape in [(2, 5), (3, 1, 2)]:
        x = rand(*shape) * 4
        case(op, [x], f(x))
case("sign", [torch.tensor([0.0, -0.5, 2.0], dtype=torch.float64)], torch.tensor([0.0, -1, 1], dtype=torch.float64))
for shape in [(2, 5), ()]:
    x = rand(*shape) ** 2
    case("sqrt", [x], x.sqrt())
    case("after", [x, rand(3)], x)
for left, right in [((2, 3, 5), (2, 3, 5)), ((2, 1, 3), (4, 1)), ((3, 4), ())]:
    a, b = rand(*left), rand(*right)
    case("maximum", [a, b], torch.maximum(a, b))
for left, right in [((5, 3), (5, 2)), ((2, 1, 4, 3), (5, 4, 2))]:
    a, b = rand(*left), rand(*right)
    case("matmul", [a, b], a.mT @ b, transposeA=True, transposeB=False)
    case("matmul", [a, b.mT], a.mT @ b, transposeA=True, transposeB=True)
for shape in [(2, 5), (3, 1, 4), (1,)]:
    x = rand(*shape) * 5
    case("softmax", [x], x.softmax(-1))
    case("logSoftmax", [x], x.log_softmax(-1))
for stride, padding, kernel, size in [
    (1, (0, 0, 0, 0), (1, 1), (3, 4)),
    (1, (1, 1, 1, 1), (3, 3), (4, 6)),
    (2, (0, 0, 1, 1), (3, 3), (4, 7)),
    (2, (0, 0, 0, 0), (2, 2), (4, 6)),
    (2, (1, 2, 0, 3), (2, 3), (5, 4)),
]:
    top, left, bottom, right = padding
    x, weight = rand(2, 3, *size).requires_grad_(), rand(4, 3, *kernel).requires_grad_()
    made = F.conv2d(F.pad(x, (left, right, top, bottom)), weight, None, stride)
    gradient = rand(*made.shape)
    by_input, by_weight = torch.autograd.grad(made, [x, weight], gradient)
    attributes = {"stride": stride, "padding": padding}
    sizes = {"height": size[0], "width": size[1]}
    case("conv2dInputGradient", [gradient, weight.detach()], by_input, **attributes, **sizes)
    case("conv2dWeightGradient", [x.detach(), gradient], by_weight, **attributes, kernel=kernel)
for rows, indices, inner in [(5, [[4, 0], [4, 4]], (3,)), (4, [3, 1], (2, 3)), (6, [[5]], ())]:
    places = torch.tensor(indices)
    values = rand(*places.shape, *inner)
    expected = torch.zeros(rows, *inner, dtype=torch.float64).index_put((places,), values, accumulate=True)
    case("scatterAdd", [values, places], expected, rows=rows)
for shape, to in [((3, 1), (3, 4)), ((1, 2, 1), (5, 3, 2, 4)), ((), (2, 2))]:
    x = rand(*shape)
    case("expand", [x], x.expand(to), shape=to)
for shape, axis, start, step, size in [((2, 3), 1, 1, 1, 6), ((2, 3, 2), 1, 0, 2, 5), ((3, 2), 0, 2, 3, 12)]:
    x = rand(*shape)
    expected = torch.zeros(*shape[:axis], size, *shape[axis + 1 :], dtype=torch.float64)
    expected.narrow(axis, start, size - start)[(slice(None),) * axis + (slice(0, (shape[axis] - 1) * step + 1, step),)] = x
    case("place", [x], expected, axis=axis, start=start, step=step, size=size)


def codes(*shape, limit=256):
    return torch.randint(limit, shape, generator=random, dtype=torch.uint8)


def dequantized(values, scales, zeros, block):
    """Codes [G,K,R] with a scale and a zero point for each block along K."""
    wide = lambda t: t.repeat_interleave(block, 1)
    return (values.double() - wide(zeros).double()) * wide(scales)


for plane, zero, part in [("bytes", 128, lambda t: t), ("low", 8, lambda t: t & 15), ("high", 8, lambda t: t >> 4)]:
    values, scales, zeros = codes(2, 64, 3), rand(2, 2, 3), codes(2, 2, 3, limit=2 * zero)
    middle = torch.full_like(zeros, zero)
    attributes = {"block": 32, "plane": plane, "zero": zero}
    case("dequantize", [values, scales], dequantized(part(values), scales, middle, 32), **attributes)
    case("dequantize", [values, scales, zeros], dequantized(part(values), scales, zeros, 32), **attributes)
for bits in [4, 8]:
    x, values, scales = rand(2, 3, 96), codes(5, 96, limit=2**bits), rand(5, 3)
    zeros = codes(5, 3, limit=2**bits)
    # Two codes of 4 bits in a byte, the first in the low half; an odd one is alone.
    pairs = lambda t: t[:, ::2] | F.pad(t[:, 1::2], (0, t.shape[1] % 2)) << 4
    packed = pairs if bits == 4 else lambda t: t
    stored = packed(values).reshape(5, 3, 4 * bits)
    for given in [torch.full_like(zeros, 2 ** (bits - 1)), zeros]:
        weight = dequantized(values[..., None], scales[..., None], given[..., None], 32)[..., 0]
        inputs = [x, stored, scales] + ([packed(zeros)] if given is zeros else [])
        case("matmulNBits", inputs, x @ weight.T, bits=bits, block=32)
for kernel, padding, size in [((3, 3), (1, 1, 1, 1), (4, 5)), ((2, 3), (1, 0, 0, 2), (3, 4)), ((3, 3), (1, 1, 1, 1), (1, 2))]:
    top, left, bottom, right = padding
    x = rand(2, *size, 3)
    padded = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    windows = padded.unfold(2, kernel[0], 1).unfold(3, kernel[1], 1).permute(0, 2, 3, 4, 5, 1)
    attributes = {"kernel": kernel, "padding": padding}
    case("patches", [x], windows.flatten(3), isFlipped=False, **attributes)
    case("patches", [x], windows.flip(3, 4).flatten(3), isFlipped=True, **attributes)

folder = Path(__file__).parent.parent
save_file(tensors, folder / "ops.safetensors")
(folder / "ops.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")

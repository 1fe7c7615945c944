"""Writes golden/motion: warps, colour matching and unsharp masks of a small picture.

Needs Python with torch, numpy, opencv-python-headless and scikit-image. The formulas are those of
Deforum-Kandinsky (see the comments in src/motion/camera.ts), written down here a second time:
camera matrices as 4x4 products in float64, sampling by torch's grid_sample, OpenCV and scikit-image for the rest.
"""

import json
import math
import os

import cv2
import numpy as np
import torch
from skimage.color import lab2rgb, rgb2lab
from skimage.exposure import match_histograms

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "motion")
W, H = 40, 28


def picture(seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:H, 0:W]
    planes = [
        110 + 70 * np.sin(x / (5 + c) + seed) * np.cos(y / (4 + c)) + 20 * rng.random((H, W)) + 12 * c * seed
        for c in range(3)
    ]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def grid_sample(image, x, y, padding):
    """Bicubic at pixel places x, y."""
    grid = torch.from_numpy(np.stack([(2 * x + 1) / W - 1, (2 * y + 1) / H - 1], -1))[None]
    planes = torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None]
    out = torch.nn.functional.grid_sample(planes, grid, mode="bicubic", padding_mode=padding, align_corners=False)
    return out[0].permute(1, 2, 0).clamp(0, 255).numpy()


def euler(rx, ry, rz):
    cx, sx, cy, sy, cz, sz = (f(math.radians(a)) for a in (rx, ry, rz) for f in (math.cos, math.sin))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def project(points, rotation, shift, fov):
    """Row points through a camera with a field of view, as [x, y] after division."""
    near, far, s = 200.0, 10000.0, 1 / math.tan(math.radians(fov) / 2)
    k = np.array([[s, 0, 0, 0], [0, s, 0, 0], [0, 0, far / (far - near), -(far * near) / (far - near)], [0, 0, 1, 0]])
    view = np.eye(4)
    view[:3, :3] = rotation.T
    view[:3, 3] = shift
    moved = np.concatenate([points, np.ones((len(points), 1))], 1) @ (k @ view).T
    return moved[:, :2] / moved[:, 3:]


def space(image, m, padding):
    y, x = np.meshgrid(np.linspace(-1, 1, H), np.linspace(-1, 1, W), indexing="ij")
    points = np.stack([x.ravel(), y.ravel(), np.ones(W * H)], 1)
    old = project(points, np.eye(3), np.zeros(3), m["fieldOfView"])
    shift = np.array([-m["translationX"], m["translationY"], -m["translationZ"]]) / 200
    new = project(points, euler(m["rotationX"], m["rotationY"], m["rotationZ"]), shift, m["fieldOfView"])
    moved = (new - old).reshape(H, W, 2)
    identity = torch.nn.functional.affine_grid(torch.eye(2, 3, dtype=torch.float64)[None], (1, 3, H, W), align_corners=False)[0].numpy()
    gx, gy = identity[..., 0] - moved[..., 0], identity[..., 1] - moved[..., 1]
    return grid_sample(image, ((gx + 1) * W - 1) / 2, ((gy + 1) * H - 1) / 2, padding)


def flip(m):
    """The perspective by projecting the four corners and solving for the matrix."""
    ct, st, cp, sp, cg, sg = (f(math.radians(m[n])) for n in ("flipTheta", "flipPhi", "flipGamma") for f in (math.cos, math.sin))
    r = np.array([[ct, -st, 0], [st, ct, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]]) @ np.array([[cg, 0, sg], [0, 1, 0], [-sg, 0, cg]])
    half = math.radians(m["flipFieldOfView"]) / 2
    d = math.hypot(W, H)
    side, h = d / math.cos(half), d / (2 * math.sin(half))
    n, f = h - d / 2, h + d / 2
    p = np.array([[1 / math.tan(half), 0, 0, 0], [0, 1 / math.tan(half), 0, 0], [0, 0, -(f + n) / (f - n), -2 * f * n / (f - n)], [0, 0, -1, 0]])
    t, r4 = np.eye(4), np.eye(4)
    t[2, 3] = -h
    r4[:3, :3] = r
    corners = np.array([[-W / 2, -H / 2], [W / 2, -H / 2], [W / 2, H / 2], [-W / 2, H / 2]])
    rows = np.concatenate([corners, np.zeros((4, 1)), np.ones((4, 1))], 1) @ (p @ t @ r4).T
    out = (rows[:, :2] / rows[:, 3:] + 1) * side / 2
    a, b = [], []
    for (x, y), (u, v) in zip(corners + [W / 2, H / 2], out):
        a += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        b += [u, v]
    matrix = np.append(np.linalg.solve(np.array(a), np.array(b)), 1).reshape(3, 3)
    return np.array([[1, 0, (W - side) / 2], [0, 1, (H - side) / 2], [0, 0, 1]]) @ matrix


def flat(image, m, padding):
    turn = np.vstack([cv2.getRotationMatrix2D((W // 2, H // 2), m["angle"], m["zoom"]), [0, 0, 1]])
    shift = np.array([[1, 0, m["translationX"]], [0, 1, m["translationY"]], [0, 0, 1.0]])
    back = np.linalg.inv(flip(m) @ turn @ shift)
    y, x = np.mgrid[0:H, 0:W].astype(np.float64)
    u, v, w = np.tensordot(back, np.stack([x, y, np.ones_like(x)]), 1)
    return grid_sample(image, u / w, v / w, padding)


SPACE = dict(translationX=0, translationY=0, translationZ=0, rotationX=0, rotationY=0, rotationZ=0, fieldOfView=40)
FLAT = dict(angle=0, zoom=1, translationX=0, translationY=0, flipTheta=0, flipPhi=0, flipGamma=0, flipFieldOfView=56)


def main():
    os.makedirs(OUT, exist_ok=True)
    first, second = picture(1), picture(2)
    warps = []
    for change in [
        dict(translationX=2.5), dict(translationY=-4), dict(translationZ=6), dict(rotationX=0.7), dict(rotationY=-1.5),
        dict(rotationZ=2), dict(translationX=1, translationZ=-5, rotationX=1, rotationY=2, rotationZ=-3, fieldOfView=56),
    ]:
        m = {**SPACE, **change}
        warps.append(dict(kind="space", motion=m, border="replicate", expected=np.round(space(first, m, "border"), 3).ravel().tolist()))
    for change in [
        dict(angle=7), dict(zoom=1.05), dict(translationX=2.4, translationY=-1.25), dict(flipTheta=6), dict(flipPhi=7), dict(flipGamma=5),
        dict(angle=-4, zoom=0.93, translationX=3, translationY=1, flipTheta=2, flipPhi=5, flipGamma=-3, flipFieldOfView=40),
    ]:
        m = {**FLAT, **change}
        warps.append(dict(kind="flat", motion=m, border="replicate", expected=np.round(flat(first, m, "border"), 3).ravel().tolist()))
    lab = lab2rgb(match_histograms(rgb2lab(first), rgb2lab(second), channel_axis=-1)) * 255
    blur = cv2.GaussianBlur(first.astype(np.float64), (5, 5), 1.0)
    sharp = np.clip(1.5 * first - 0.5 * blur, 0, 255)
    held = np.where(np.abs(first - blur) < 6, first, sharp)
    data = dict(
        width=W, height=H, first=first.ravel().tolist(), second=second.ravel().tolist(), warps=warps,
        rgb=np.round(match_histograms(first.astype(float), second.astype(float), channel_axis=-1), 4).ravel().tolist(),
        lab=np.round(lab, 4).ravel().tolist(),
        sharp=np.round(sharp, 4).ravel().tolist(),
        held=np.round(held, 4).ravel().tolist(),
    )
    with open(os.path.join(OUT, "motion.json"), "w") as file:
        json.dump(data, file, separators=(",", ":"))


main()

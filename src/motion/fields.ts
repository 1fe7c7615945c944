/** Motion that goes by schedule: Deforum's name of each, what it is where nothing is said, and where it acts. */
export const MOTION_FIELDS = {
  angle: { deforum: "angle", still: 0, mode: "2D" },
  zoom: { deforum: "zoom", still: 1, mode: "2D" },
  translationX: { deforum: "translation_x", still: 0, mode: undefined },
  translationY: { deforum: "translation_y", still: 0, mode: undefined },
  translationZ: { deforum: "translation_z", still: 0, mode: "3D" },
  rotationX: { deforum: "rotation_3d_x", still: 0, mode: "3D" },
  rotationY: { deforum: "rotation_3d_y", still: 0, mode: "3D" },
  rotationZ: { deforum: "rotation_3d_z", still: 0, mode: "3D" },
  flipTheta: { deforum: "perspective_flip_theta", still: 0, mode: "2D" },
  flipPhi: { deforum: "perspective_flip_phi", still: 0, mode: "2D" },
  flipGamma: { deforum: "perspective_flip_gamma", still: 0, mode: "2D" },
  flipFieldOfView: { deforum: "perspective_flip_fv", still: 56, mode: "2D" },
  fieldOfView: { deforum: "fov_schedule", still: 40, mode: "3D" },
} as const;

export type MotionField = keyof typeof MOTION_FIELDS;

export const MOTION_NAMES = Object.keys(MOTION_FIELDS) as readonly MotionField[];

/** Schedules by field, as text. */
export type MotionSchedules = Readonly<Partial<Record<MotionField, string>>>;

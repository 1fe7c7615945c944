/** Motion that goes by schedule: Deforum's name of each, and what it is where nothing is said. */
export const MOTION_FIELDS = {
  angle: { deforum: "angle", still: 0 },
  zoom: { deforum: "zoom", still: 1 },
  translationX: { deforum: "translation_x", still: 0 },
  translationY: { deforum: "translation_y", still: 0 },
  translationZ: { deforum: "translation_z", still: 0 },
  rotationX: { deforum: "rotation_3d_x", still: 0 },
  rotationY: { deforum: "rotation_3d_y", still: 0 },
  rotationZ: { deforum: "rotation_3d_z", still: 0 },
  flipTheta: { deforum: "perspective_flip_theta", still: 0 },
  flipPhi: { deforum: "perspective_flip_phi", still: 0 },
  flipGamma: { deforum: "perspective_flip_gamma", still: 0 },
  flipFieldOfView: { deforum: "perspective_flip_fv", still: 56 },
  fieldOfView: { deforum: "fov_schedule", still: 40 },
} as const;

export type MotionField = keyof typeof MOTION_FIELDS;

export const MOTION_NAMES = Object.keys(MOTION_FIELDS) as readonly MotionField[];

/** Schedules by field, as text. */
export type MotionSchedules = Readonly<Partial<Record<MotionField, string>>>;

export { type DeviceReport, describeDevices } from "./devices.ts";
export { type EngineOptions, startEngine } from "./engine.ts";
export {
  type MemoryGroup,
  type MemoryPeak,
  type MemoryRoom,
  memoryGroups,
  memoryRoom,
  processMemory,
  watchMemory,
} from "./memory.ts";
export {
  type Blank,
  type Collective,
  DEVICES,
  type Device,
  type Engine,
  type Fetch,
  type Fetched,
  type Held,
  type Memory,
  type Peers,
  type Port,
  type Program,
  type ProgramSource,
} from "./types.ts";

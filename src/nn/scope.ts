import type { GraphBuilder, Value } from "../graph/mod.ts";

/** A place in a model: its path is the prefix of the checkpoint keys below it. */
export class Scope {
  readonly builder: GraphBuilder;
  readonly path: string;

  constructor(builder: GraphBuilder, path = "") {
    this.builder = builder;
    this.path = path;
  }

  /** The scope of a part, such as `resnets_in.0`. */
  at(name: string | number): Scope {
    return new Scope(this.builder, this.#join(name));
  }

  /** The weight `name` of this part, with its full shape as stored. */
  parameter(name: string, shape: readonly number[]): Value {
    return this.builder.parameter(this.#join(name), shape);
  }

  /** Marks a value as this part's result, so that tests can ask for it and messages can name it. */
  tap(value: Value): Value {
    this.builder.tap(this.path, value);
    return value;
  }

  #join(name: string | number): string {
    return this.path === "" ? `${name}` : `${this.path}.${name}`;
  }
}

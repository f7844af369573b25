/**
 * The network between a browser and a log-ingest, which can be cut. A browser that is told to be offline makes no new
 * connection and may keep those that it has; a network that is gone keeps none.
 */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export class Network {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those by which server-sent events come. */
  readonly #streams = new Set<Socket>();
  #isCut = false;

  private constructor(host: string, port: number) {
    this.#server = createServer((near) => {
      if (this.#isCut) near.destroy();
      else this.#join(near, connect(port, host));
    });
  }

  /** In front of an address such as `http://127.0.0.1:8080/`. */
  static async before(address: string): Promise<Network> {
    const { hostname, port } = new URL(address);
    const network = new Network(hostname, Number(port));
    network.#server.listen(0, "127.0.0.1");
    await once(network.#server, "listening");
    // Whoever forgets it does not keep the tests from ending.
    network.#server.unref();
    return network;
  }

  url(path = "/"): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  /** Connections by which events come bring nothing more, and nobody is told. */
  silence(): void {
    for (const far of this.#streams) far.unpipe();
  }

  #join(near: Socket, far: Socket): void {
    far.on("data", (data) => data.includes("text/event-stream") && this.#streams.add(far));
    far.on("close", () => this.#streams.delete(far));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.unref();
      one.pipe(other);
      // The other side hears of it as well.
      one.on("error", () => {});
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}

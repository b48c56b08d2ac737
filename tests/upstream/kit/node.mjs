// A real node host as a running process.
import { startReal } from './cli.mjs';
import { until, within } from './scratch.mjs';

/** Starts `openclaw node run` of this release against the story's gateway; `start` and `stop` it as often as wanted. */
export class NodeHost {
  constructor(story, release, home, name) {
    Object.assign(this, { story, release, home, name });
  }

  start() {
    const { address, port, token } = this.story.gateway;
    const args = ['node', 'run', '--host', address, '--port', String(port), '--display-name', this.name];
    this.running = startReal(this.release, this.home, args, { OPENCLAW_GATEWAY_TOKEN: token });
    this.running.done.then((result) => this.story.heard(result));
  }

  async stop() {
    await within(20000, 'the node host ends', this.running.stop());
  }

  says(words) {
    return until(`the node host says ${words}`, () => words.test(this.running.output() + this.running.errors()), 60000);
  }

  /** Its entry of `node.list`, once that is as `is` wants it. */
  listed(what, is) {
    return until(what, async () => {
      const { nodes } = await this.story.nodes();
      return nodes.find((node) => node.displayName === this.name && is(node));
    }, 60000);
  }
}

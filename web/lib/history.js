// @ts-check
/** Which results a node had before its page or workflow was opened again. */

/** @typedef {import("./panel.js").LGraphNode} LGraphNode */
/**
 * @typedef {object} Graph
 * @property {string} id
 * @property {LGraphNode[]} nodes
 * @property {(id: any) => LGraphNode | null | undefined} getNodeById
 * @property {Map<string, Graph>} [subgraphs] by their ids
 */
/**
 * @typedef {object} Run an entry of the host's history
 * @property {[number, string, Record<string, {class_type: string}>, any, string[]]} prompt
 * @property {Record<string, any>} outputs by the ids of the nodes that ran
 */

const LOOK_BACK = 16; // runs

/**
 * The newest results that the host still has, for the nodes of a workflow that want them.
 * @param {(path: string) => Promise<Response>} request the host's `fetchApi`
 * @param {Graph} graph of the workflow
 * @param {(node: LGraphNode) => boolean} wants
 * @returns {Promise<[LGraphNode, any][]>}
 */
export async function lastResults(request, graph, wants) {
  const nodes = [...everyNode(graph)].filter(([, node]) => wants(node));
  if (nodes.length === 0) return [];
  const answer = await request(`/history?max_items=${LOOK_BACK}`).catch(() => undefined);
  if (!answer?.ok) return [];
  /** @type {Run[]} oldest first */
  const runs = Object.values(await answer.json());
  const ours = runs.filter(({ prompt }) => prompt[3].extra_pnginfo?.workflow?.id === graph.id);
  return nodes.flatMap(([id, node]) => {
    const run = ours.findLast(({ outputs }) => outputs[id]);
    const same = run?.prompt[2][id]?.class_type === node.comfyClass;
    return run && same ? [[node, run.outputs[id]]] : [];
  });
}

/**
 * The nodes of a graph and its subgraphs, with the ids they run under.
 * @param {Graph} graph
 * @param {string} [outside] ids of the subgraph nodes around them
 * @returns {Generator<[string, LGraphNode]>}
 */
function* everyNode(graph, outside = "") {
  for (const node of graph.nodes) {
    const id = outside + node.id;
    yield [id, node];
    const inside = /** @type {{subgraph?: Graph}} */ (node).subgraph;
    if (inside) yield* everyNode(inside, `${id}:`);
  }
}

/**
 * The node that runs under an id.
 * @param {Graph} graph
 * @param {string} id
 */
export function nodeRunning(graph, id) {
  return new Map(everyNode(graph)).get(id);
}

/**
 * The node that the frontend keeps results for under a name.
 * @param {Graph} graph
 * @param {string} name the node's id, behind the id of its subgraph if it is in one
 */
export function nodeNamed(graph, name) {
  const [id, subgraph] = name.split(":").reverse();
  return (subgraph ? graph.subgraphs?.get(subgraph) : graph)?.getNodeById(id);
}

// @ts-check
/** What our widgets share: a place inside a node, its results, its end. */

/** @typedef {import("@comfyorg/comfyui-frontend-types").ComfyExtension} ComfyExtension */
/** @typedef {Parameters<NonNullable<ComfyExtension["nodeCreated"]>>[0]} BareNode */
/** @typedef {{name: string, value?: any, callback?: Function, serialize?: boolean, options?: any}} Widget */
/**
 * @typedef {object} HostNode what the host adds to the graph library's nodes
 * @property {(name: string, type: string, element: HTMLElement, options: object) => Widget} addDOMWidget
 * @property {(output: any) => void} [onExecuted]
 * @property {unknown[]} [imgs]
 * @property {boolean} [hideOutputImages]
 */
/** @typedef {BareNode & HostNode} LGraphNode */

const PROGRESS_PICTURE = "$$canvas-image-preview"; // the host's widget for previews during a run

/**
 * Show an element inside a node, in the canvas and in Nodes 2.0. It holds no value of its own.
 * @param {LGraphNode} node
 * @param {string} name of the widget, unique in the node
 * @param {HTMLElement} element
 * @param {number | (() => number)} height least height in pixels; if it changes, it is the only one
 */
export function addPanel(node, name, element, height) {
  element.classList.add("codeformer");
  // Nodes 2.0 asks the element, the canvas asks the widget.
  if (typeof height === "number") element.style.minHeight = `${height}px`;
  // The canvas must neither move the node nor run a shortcut while someone works in here.
  for (const type of ["pointerdown", "keydown", "dblclick", "contextmenu"]) {
    element.addEventListener(type, (event) => event.stopPropagation());
  }
  const widget = node.addDOMWidget(name, "codeformer", element, {
    serialize: false,
    hideOnZoom: false,
    ...(typeof height === "number"
      ? { getMinHeight: () => height }
      : { getMinHeight: height, getMaxHeight: height }),
  });
  widget.serialize = false;
  return widget;
}

/** @type {WeakMap<LGraphNode, (output: any) => void>} */
const receivers = new WeakMap();

/**
 * Hand the results of a node to a function, after whoever receives them already.
 * @param {LGraphNode} node
 * @param {(output: any) => void} use
 */
export function onResult(node, use) {
  const previous = node.onExecuted;
  node.onExecuted = function (output) {
    previous?.call(this, output);
    dropProgressPicture(node);
    use(output);
  };
  receivers.set(node, use);
}

/**
 * Take away the canvas's last preview of a run: the panel shows the result itself.
 * @param {LGraphNode} node
 */
function dropProgressPicture(node) {
  const index = node.widgets?.findIndex((widget) => widget.name === PROGRESS_PICTURE) ?? -1;
  if (index < 0) return;
  node.imgs = undefined;
  node.widgets?.splice(index, 1);
}

/**
 * Keep the canvas from drawing the pictures of a result a second time, below the panel.
 * @param {LGraphNode} node
 */
export function hideOutputPictures(node) {
  node.hideOutputImages = true; // Nodes 2.0
  Object.defineProperty(node, "imgs", { get: () => undefined, set() {}, configurable: true });
}

/**
 * Hand a node the results it had before, when its workflow comes back to the screen.
 * @param {LGraphNode | null | undefined} node
 * @param {any} output
 */
export function showAgain(node, output) {
  if (node && output) receivers.get(node)?.(output);
}

/**
 * A signal that aborts when the node is removed: for listeners, observers and requests.
 * @param {LGraphNode} node
 */
export function lifetime(node) {
  const life = new AbortController();
  const previous = node.onRemoved;
  node.onRemoved = function () {
    previous?.call(this);
    life.abort();
  };
  return life.signal;
}

/**
 * @param {LGraphNode} node
 * @param {string} name
 * @returns {Widget | undefined}
 */
export function findWidget(node, name) {
  /** @type {Widget[]} */
  const widgets = node.widgets ?? [];
  return widgets.find((widget) => widget.name === name);
}

/**
 * Set an ordinary widget as if its user had.
 * @param {LGraphNode} node
 * @param {string} name
 * @param {any} value
 */
export function setWidget(node, name, value) {
  const widget = findWidget(node, name);
  if (!widget || widget.value === value) return;
  widget.value = value;
  widget.callback?.(value);
  node.setDirtyCanvas(true, true);
}

/**
 * Run a function whenever an ordinary widget changes.
 * @param {LGraphNode} node
 * @param {string} name
 * @param {() => void} use
 */
export function onWidget(node, name, use) {
  const widget = findWidget(node, name);
  if (!widget) return;
  const previous = widget.callback;
  widget.callback = function (/** @type {any[]} */ ...values) {
    const result = previous?.apply(this, values);
    use();
    return result;
  };
}

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties] attributes; functions become listeners
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

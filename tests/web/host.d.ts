// What ComfyUI serves beside the pack, and the page's types that its package does not export by name.
declare module "*/scripts/app.js" {
  import type { ComfyApp } from "@comfyorg/comfyui-frontend-types";
  export const app: ComfyApp;
}
type HostGraph = import("@comfyorg/comfyui-frontend-types").ComfyApp["rootGraph"];
type HostNode = NonNullable<ReturnType<HostGraph["getNodeById"]>> & {
  addDOMWidget(name: string, type: string, element: HTMLElement, options: WidgetOptions): any;
};
type HostWidget = NonNullable<HostNode["widgets"]>[number];
type OfInput<Found> = (node: HostNode, name: string) => Found;
/** A widget that folds. */
type Folded = {
  /** Of node. */
  kind: string;
  key: string;
  /** The key of its title. */
  text: string;
  /** Of the node, which a saved graph keeps: whether it is open. Graphs without it keep the sizes that they were laid out with. */
  property: string;
  /** In pixels, when open. */
  lowest: number;
  /** Whether new nodes are. */
  open: boolean;
  /** refresh is called several times in a second, and close at the end. */
  made(node: HostNode): { element: HTMLElement; refresh(): void; close?(): void };
};
/** Of a node, what its Python sends. */
type Shows = (node: HostNode, output: any) => void;
type Panel<Sent = any, State = any> = {
  /** Of the node's output. */
  key: string;
  /** The least height, in pixels. */
  lowest: number;
  /** Fills the empty element. The data is what the node's Python sent; the state stays as long as the node does. */
  draw: DrawsPanel<Sent, State>;
};
type DrawsPanel<Sent, State = {}> = (element: HTMLElement, data: Sent[], node: HostNode, state: State) => void;
type DrawsBox = (
  svg: SVGSVGElement,
  box: Detection,
  dropped: boolean,
  /** Units of the picture in a pixel of the page. */
  unit: number,
  tell: (text: string) => void,
  click: () => void,
) => void;
type Slider = { name: string; number: string; slider: HTMLInputElement; says: HTMLElement };
type MakesExplorer = (input: string, empties: string, body: (own: Explorer) => () => string) => Folded["made"];
type Explorer = {
  node: HostNode;
  element: HTMLElement;
  /** What the node showed in its last run. */
  last?: { anchors?: number; position?: string; names?: string[] };
  text(): string;
  run(): void;
  /** ended: of a drag, which is undone as one, and runs when it is over. */
  set(text: string, ended?: boolean): void;
  refresh(): void;
  close(): void;
};
interface WidgetOptions {
  serialize?: boolean;
  getValue?(): string;
  setValue?(value: string): void;
  getMinHeight?(): number;
  getMaxHeight?(): number;
}
interface Window {
  trilemmaReady?: boolean;
}

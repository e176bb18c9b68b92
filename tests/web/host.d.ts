// What ComfyUI serves beside the pack, and the page's types that its package does not export by name.
declare module "*/scripts/app.js" {
  import type { ComfyApp } from "@comfyorg/comfyui-frontend-types";
  export const app: ComfyApp;
}
type HostGraph = import("@comfyorg/comfyui-frontend-types").ComfyApp["rootGraph"];
type HostNode = NonNullable<ReturnType<HostGraph["getNodeById"]>> & {
  addDOMWidget(name: string, type: string, element: HTMLElement, options: WidgetOptions): any;
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

// Shows the text reports of the pack's nodes on the nodes themselves.
import { app } from "../../scripts/app.js";

const PREFIX = "Trilemma";

function reportWidget(node) {
  const found = node.widgets?.find((widget) => widget.name === "report_text");
  if (found) return found;
  const element = document.createElement("textarea");
  element.readOnly = true;
  element.style.cssText = "width:100%;height:100%;resize:none;font:11px monospace;opacity:0.85";
  const widget = node.addDOMWidget("report_text", "trilemma_report", element, {
    serialize: false,
    getValue: () => element.value,
    setValue: (text) => { element.value = text ?? ""; },
    getMinHeight: () => 90,
  });
  widget.serialize = false; // the option above keeps it out of the prompt only, this one out of saved workflows
  return widget;
}

app.registerExtension({
  name: "Trilemma.Reports",
  async setup() {
    window.trilemmaReady = true;
  },
  async beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith(PREFIX)) return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      if (output?.text) reportWidget(this).value = output.text.join("\n");
    };
  },
});

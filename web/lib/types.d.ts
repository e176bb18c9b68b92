// What the modules here work with; the comments of their functions name these types, and `make test-web` checks them.

// A drawing on a picture, in its pixels.
type Point = { x: number; y: number };
type Size = { width: number; height: number };
type Box = Point & Size & { label?: string };
type Kind = "positive" | "negative" | "boxes";
type Drawing = { positive: Point[]; negative: Point[]; boxes: Box[] };
type Handle = "nw" | "ne" | "sw" | "se";
/** Which one is meant, and which corner of a box. */
type Target = { kind: Kind; index: number; handle?: Handle };
type Texts = { [K in Kind]: string };

/** Position on the canvas = position in the picture * scale + offset. */
type View = { scale: number; x: number; y: number };

type Sheet = CanvasRenderingContext2D;

// Functions of the above, by what else they are given.
type Changes<Given extends unknown[]> = (drawing: Drawing, ...given: Given) => Drawing;
type Finds<Given extends unknown[]> = (drawing: Drawing, ...given: Given) => Target | null;
/** Positions on the canvas. */
type Views<Given extends unknown[]> = (view: View, ...given: [...Given, picture: Size, canvas: Size]) => View;
type Places = (view: View, at: Point) => Point;
type Draws<Given extends unknown[]> = (context: Sheet, view: View, ...given: Given) => void;

/** Its size, where the file is a smaller copy. */
type Picture = { address: string; width?: number; height?: number };
type Source = { read(): Texts; write(texts: Texts): void; picture(): Picture | null; found(): Box[] };
/** Positions are in the picture; screen: on the canvas. */
type Drag = {
  from: Point;
  at: Point;
  screen: Point;
  negative: boolean;
  moved: boolean;
  panning: boolean;
  target: Target | null;
  before: Texts;
  since: number;
};

type Made<Tag> = Tag extends keyof HTMLElementTagNameMap
  ? HTMLElementTagNameMap[Tag]
  : Tag extends keyof SVGElementTagNameMap
    ? SVGElementTagNameMap[Tag]
    : never;
type Add = <Tag extends string>(
  parent: Element | null,
  tag: Tag,
  attributes?: Record<string, unknown>,
  text?: string | number,
  click?: ((event: Event) => unknown) | null,
) => Made<Tag>;

// Of the page's graph as little as is needed, so that tests do without the page.
type GraphInput = { name: string; type?: any; link?: number | null };
type GraphLink = { origin_id: number | string; origin_slot: number };
type GraphNode = {
  id: number | string;
  type?: string;
  mode?: number;
  inputs?: GraphInput[];
  outputs?: { type?: any }[];
  widgets?: { name?: string; value?: unknown }[];
  graph?: Graph | null;
  subgraph?: Graph;
};
type Graph = {
  id?: string;
  _nodes?: GraphNode[];
  rootGraph?: Graph;
  subgraphs?: Map<string, Graph>;
  outputs?: { linkIds: number[] }[];
  getNodeById(id: any): GraphNode | null | undefined;
  getLink(id: any): GraphLink | null | undefined;
};
type PictureFile = { filename: string; subfolder: string; type: string; width?: number; height?: number };
/** A picture that a node has drawn; the seed in digits, as not every one is a number of JavaScript. */
type Sample = PictureFile & { seed?: string; condition?: string };
type SentSamples = { pictures: Sample[]; count: number; width: number; height: number };
/** quality, coverage, speed: of each 0..1, 1 the best. */
type Position = number[];
type Cell = { value?: number | string | null; text: string; best?: boolean };
type Cells = { rank: string; of: Record<string, Cell>; samples: { best: Sample[]; worst: Sample[] } };
type Row = {
  name: string;
  rank: number | null;
  warnings: string[];
  scores: { provenance?: Record<string, any> };
  runs?: unknown[];
  trilemma_position?: Position | null;
  trilemma_lacks?: string | null;
  pareto_front?: boolean;
  cells: Cells;
};
type Column = { key: string; label: string; better?: "lower" | "higher" };
type Group = { rows: Row[]; columns: Column[]; axes: { label: string; best: number; worst: number }[] };
type SentBoard = { markdown: string; csv: string; json: string; cells: Cells[][] };
type DrawsGroup<Given extends unknown[]> = (element: Element, group: Group, ...given: Given) => void;
type Chooses = (row: Row) => void;
type DrawsHeader = DrawsGroup<[state: Sorting, redraw: () => void]>;
type DrawsRows = DrawsGroup<[state: Sorting, choose: Chooses]>;
/** Where, how many units right of there and down, and which end of the text stands there. */
type Letter = [position: Position, right: number, down: number, anchor: string];
/** Of a group: the column that it is sorted by, and the name of the row that is told of. */
type Sorting = { by: string; descending: boolean; chosen: string | null };
type Detection = Box & { label: string; score: number; number: number; phrase: number };
type Phrase = { label: string; threshold: number; counts: number[] };
/** Of each image its boxes and, if it was connected, its picture. */
type SentDetections = Size & { images: Detection[][]; pictures: PictureFile[]; phrases: Phrase[] };
/** What each node of the last run has shown, by its id. */
type Outputs = Record<string, any>;
/** shownBy: what a node has shown in its last run. */
type Upstream<Found> = (node: GraphNode, shownBy: (node: GraphNode) => any) => Found;
/** Texts by key, of a file or a language by its name. */
type ReadsTexts = (name: string) => Promise<Record<string, string>>;
/** read: gives the texts of one language; spoken: the page's language of the moment. */
type Learns = (read: ReadsTexts, spoken?: () => string) => Promise<unknown>;
/** The text of a key; what is told stands in place of each {name}. */
type Says = (key: string, told?: Record<string, unknown>) => string;
type DrawsFrame = Draws<[box: Box, colour: string, width: number]>;
type DrawsCross = Draws<[point: Point, reach: number, plus: boolean, colour: string, width: number]>;
type DrawsPoint = Draws<[point: Point, kind: "positive" | "negative", selected: boolean]>;
type DrawsAll = Draws<[drawing: Drawing, selected: Target | null]>;
type Ranked = [rank: number, cost: number, target: Target];
/** image: the number of the one that is shown; sizes: heeds the panel's. */
type DrawsDetections = DrawsPanel<SentDetections, { image?: number; sizes?: ResizeObserver }>;

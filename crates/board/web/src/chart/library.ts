// The parts of Apache ECharts that the page's charts use: a script of its own, loaded after the page.

import { BarChart, CustomChart, LineChart, ScatterChart } from "echarts/charts";
import { GridComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([BarChart, CanvasRenderer, CustomChart, GridComponent, LineChart, ScatterChart]);

export { init };

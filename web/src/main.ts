import { createApp } from "vue";
import AppShell from "./shell/AppShell.vue";
import { startReading } from "./forwarding/queues";
import { start } from "./router";
import { startPolling } from "./shell/live";
import { guardLeaving } from "./upload/queue";
import "./styles/base.css";

start();
startPolling();
startReading();
guardLeaving();
createApp(AppShell).mount("#app");

import { createApp } from "vue";
import AppShell from "./shell/AppShell.vue";
import { start } from "./router";
import { startPolling } from "./shell/live";
import { guardLeaving } from "./upload/queue";
import "./styles/base.css";

start();
startPolling();
guardLeaving();
createApp(AppShell).mount("#app");

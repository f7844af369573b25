import { render } from "preact";
import "./page.css";

render(<main>Ottoscaler</main>, document.body);

// Styles are imported for their effect; Vite puts them all in page.css.
declare module "*.css";

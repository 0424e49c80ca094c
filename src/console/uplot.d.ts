/** The port serves the library's module as `/console/uplot.js`. */
export { default } from 'uplot'

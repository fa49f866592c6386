/** Declares a type of the DOM that the types of structured-headers name: this project is compiled without the DOM. */
type BufferSource = ArrayBufferView | ArrayBuffer;

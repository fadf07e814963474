/* Search runs in a web worker, but browsers do not start workers for pages opened from disk. For
   such pages, this class runs the worker's script in a hidden frame of the page instead. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      const scope = frame.contentWindow
      scope.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      scope.importScripts = (...urls) =>
        urls.reduce((loaded, next) => loaded.then(() => this.#load(frame, next)), Promise.resolve())
      this.frame = frame
      this.ready = this.#load(frame, url)
    }

    #load(frame, url) {
      return new Promise((resolve, reject) => {
        const script = frame.contentDocument.createElement("script")
        script.src = url
        script.onload = resolve
        script.onerror = reject
        frame.contentDocument.body.appendChild(script)
      })
    }

    postMessage(data) {
      this.ready.then(() => {
        const scope = this.frame.contentWindow
        scope.dispatchEvent(new scope.MessageEvent("message", { data }))
      })
    }

    terminate() {
      this.frame.remove()
    }
  }
}

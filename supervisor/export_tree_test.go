package supervisor

// TextWidth is the number of columns of a text.
var TextWidth = textWidth

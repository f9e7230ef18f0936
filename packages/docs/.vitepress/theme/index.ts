// The fonts of the reader's machine: none are fetched.
import theme from 'vitepress/theme-without-fonts'
import './style.css'

export default theme
